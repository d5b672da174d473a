//! Why a text is not a result, or has no equivalent in another version.

use crate::cni::nesting;
use crate::cni::version::{Version, VersionError};

/// The text is not a CNI result, or has no equivalent in the requested version.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Not JSON, or not an object.
    #[error("it is not a JSON object")]
    NoObject,
    /// Longer than what is read of a plugin's output.
    #[error("it is longer than a mebibyte")]
    TooLong,
    /// The next plugin, or a record, could not hold it.
    #[error("it is nested more than {} levels deep", nesting::MOST)]
    TooDeep,
    /// Its version is not three numbers.
    #[error(transparent)]
    NoVersion(#[from] VersionError),
    /// Its version, or the requested one, is not one of the specification's.
    #[error("there is no version {version} of the CNI specification")]
    UnknownVersion {
        /// The version.
        version: Version,
    },
    /// A field is of another type than the specification's.
    #[error("{field} is {found}, not {wanted}")]
    Field {
        /// Its path, as in `ips[0].address`.
        field: String,
        /// Its value, as JSON.
        found: String,
        /// The type in the specification.
        wanted: &'static str,
    },
    /// Before 0.3.0 a result was its addresses.
    #[error("it has no address, and a result of version {to} must have one")]
    NoAddress {
        /// The requested version.
        to: Version,
    },
}
