//! Build node images: a root file system with Kubernetes in it, and an image store with what kubeadm wants.
//!
//! Every result is named by the digest of all that goes into it, and kept in a cache: what exists is not made again. A
//! build with nothing changed takes the same steps, and finds all of them done.
//!
//! | to find | look in |
//! |---|---|
//! | which programs there are, and their versions | `programs/catalog.rs` |
//! | where programs come from | `programs`: `source`, `obtain`, then `release`, `go`, `checkout` or `c` |
//! | what is in container images | `containers/recipes.rs` |
//! | the operating system, and what is added to it | `root/os.rs`, `root/rootfs.rs` |
//! | the image store | `store` |
//! | a finished image | `generation`, `images` |

mod arch;
pub(crate) mod cache;
mod child;
pub(crate) mod compress;
pub(crate) mod containers;
pub(crate) mod context;
pub mod digest;
pub(crate) mod generation;
pub(crate) mod images;
pub(crate) mod programs;
pub mod progress;
pub(crate) mod root;
pub(crate) mod store;
pub(crate) mod supplies;
pub(crate) mod tools;

// What tests use, as a registry, an archive or an upstream that is not ours.
pub use arch::arch;
pub use containers::{layer, oci};
pub use programs::{catalog, download, project, source, unpack};
