//! The subject of ADD, CHECK and DEL: a container's interface in a network.

use std::path::PathBuf;

use serde::de::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::nesting;

/// The parameters of ADD, CHECK and DEL beside the network configuration (libcni's `RuntimeConf`). GC and STATUS
/// concern no container, and have the default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// CNI_CONTAINERID.
    pub container_id: String,
    /// CNI_NETNS: path of the network namespace.
    pub netns: PathBuf,
    /// CNI_IFNAME: the interface in the namespace.
    pub if_name: String,
    /// CNI_ARGS: pairs for the plugins.
    pub args: Vec<(String, String)>,
    /// Given to those plugins that declare the capability of the same name.
    pub capability_args: Map<String, Value>,
}

/// A parameter that no plugin could take.
#[derive(Debug, thiserror::Error)]
pub enum AttachmentError {
    /// CNI_ARGS is not made of pairs.
    #[error("CNI arguments {args:?} have no KEY=VALUE in {pair:?}; write them as KEY=VALUE;KEY=VALUE")]
    Args {
        /// All of them.
        args: String,
        /// The one at fault.
        pair: String,
    },
    /// CAP_ARGS is not a JSON object.
    #[error("capability arguments {args:?} are not a JSON object")]
    CapabilityArgs {
        /// The text.
        args: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The kernel would refuse it.
    #[error("interface name {name:?} is not valid; use 1 to 15 characters without '/', ':' and spaces")]
    IfName {
        /// The name.
        name: String,
    },
}

/// Parse CNI_ARGS, pairs joined by semicolons, as cnitool does.
pub fn parse_args(args: &str) -> Result<Vec<(String, String)>, AttachmentError> {
    let invalid = |pair: &str| AttachmentError::Args { args: args.to_owned(), pair: pair.to_owned() };
    let parse = |pair: &str| match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() && !value.contains('=') => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(invalid(pair)),
    };
    if args.is_empty() { Ok(Vec::new()) } else { args.split(';').map(parse).collect() }
}

/// The inverse of [`parse_args`].
pub fn join_args(args: &[(String, String)]) -> String {
    args.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(";")
}

/// Parse CAP_ARGS, a JSON object whose keys are capabilities. It may not be nested so deep that a record could not hold
/// it.
pub fn parse_capability_args(args: &str) -> Result<Map<String, Value>, AttachmentError> {
    if args.is_empty() {
        return Ok(Map::new());
    }
    let parsed = serde_json::from_str(args).and_then(|parsed: Map<_, _>| {
        let deep = parsed.values().any(nesting::is_too_deep);
        if deep { Err(serde_json::Error::custom("nested too deep")) } else { Ok(parsed) }
    });
    parsed.map_err(|source| AttachmentError::CapabilityArgs { args: args.to_owned(), source })
}

/// Check a container id by the specification's rule (section 2, CNI_CONTAINERID), since it becomes part of a path.
pub(crate) fn is_container_id(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.chars().all(allowed)
}

/// Check an interface name by the kernel's rules, as libcni does.
pub(crate) fn check_if_name(name: &str) -> Result<(), AttachmentError> {
    let forbidden = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.contains(forbidden) {
        Ok(())
    } else {
        Err(AttachmentError::IfName { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_pairs() {
        let args = "IgnoreUnknown=1;IP=10.0.0.2";
        let parsed = parse_args(args).expect("pairs");
        assert_eq!(parsed[1], ("IP".to_owned(), "10.0.0.2".to_owned()));
        assert_eq!(join_args(&parsed), args);
        assert_eq!(parse_args("").expect("none"), []);
        for bad in ["IP", "IP=", "=1", "A=1;", "A=1=2"] {
            assert!(parse_args(bad).expect_err(bad).to_string().contains("KEY=VALUE"));
        }
    }

    #[test]
    fn capability_arguments_are_refused_that_would_make_a_record_unreadable() {
        let deep = |levels: usize| format!(r#"{{"x": {}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        parse_capability_args(&deep(nesting::MOST)).expect("an object");
        let error = parse_capability_args(&deep(nesting::MOST + 1)).expect_err("too deep");
        assert!(foundation::error_chain(&error).contains("nested too deep"));
    }

    #[test]
    fn interface_names_follow_the_kernel() {
        for good in ["eth0", "a", "fifteen-letters"] {
            check_if_name(good).expect(good);
        }
        for bad in ["", ".", "..", "a b", "a/b", "a:1", "sixteen-letters-"] {
            check_if_name(bad).expect_err(bad);
        }
    }
}
