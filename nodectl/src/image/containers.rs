//! Container images: which there are, what is in them, how they are written.

pub(crate) mod assemble;
mod debian;
pub mod layer;
pub(crate) mod missing;
pub mod oci;
pub(crate) mod recipe;
pub(crate) mod recipes;
