//! Containers in user namespaces, which make their network namespaces themselves.

pub mod hold;
pub mod late;
