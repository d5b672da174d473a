//! What the integration tests share: the binaries under test, and a picture of the host before and after.

pub mod ansible;
pub mod binary;
pub mod cluster;
pub mod cni;
pub mod crash;

pub mod delve;
pub mod fixture;
pub mod generated;
pub mod host;
pub mod isolate;
pub mod neighbour;
pub mod node;
pub mod server;
pub mod service;
pub mod vm;
pub mod wrapper;

pub use binary::bin;
pub use fixture::Fixture;
pub use host::HostState;
pub use isolate::isolate;
pub use node::Nodes;
