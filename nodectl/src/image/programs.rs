//! Programs: which there are, where they come from, how they are compiled or fetched.

pub(crate) mod build;
mod c;
pub mod catalog;
pub(crate) mod checkout;
pub(crate) mod component;
mod copies;
pub mod download;
mod go;
pub(crate) mod mirrors;
pub(crate) mod obtain;
pub(crate) mod program;
pub mod project;
mod release;
pub mod source;
pub mod unpack;
pub(crate) mod version;
pub(crate) mod wanted;
