//! Image and node records, and reading them from a pipe.

use std::io::{self, BufRead, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::name::Name;

mod component;
mod suite;
mod supplies;
pub mod untrusted;

pub use component::{Component, ComponentRecord, Kind, SourcesRecord};
pub use suite::{Missing, SuiteImage, SuiteRecord};
pub use supplies::{ImageFile, NodeProgram, ProgramFile, SuppliesRecord};

/// What `nodectl build` prints, `nodectl start` reads and `nodectl images` lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The image's name, as `nodectl start --image` takes it.
    pub image: Name,
    /// Directory of this build: `rootfs/`, the node's root, and `containerd/`, its preloaded image store.
    #[serde(deserialize_with = "untrusted::image_dir")]
    pub path: PathBuf,
    /// Version of Kubernetes inside: `v1.37.2`.
    pub kubernetes: String,
    /// Version of the kubelet, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<String>,
    /// Where Kubernetes came from: `go:v1.37.2`, `release:v1.37.2`, `dir:/path`.
    pub source: String,
    /// Name of the node's operating system: `PRETTY_NAME` of its os-release(5).
    pub os: String,
    /// Fields that this version does not know, passed through.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A node's place in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs etcd and the control plane's static pods.
    ControlPlane,
    /// Runs workloads.
    Worker,
}

/// What a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its systemd has not finished starting.
    Starting,
    /// `systemctl is-system-running` said `running`.
    Running,
    /// Booted, but with failed units.
    Degraded,
    /// All its processes have ended.
    Stopped,
}

/// How to log in to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ssh {
    /// The user to log in as.
    #[serde(deserialize_with = "untrusted::user")]
    pub user: String,
    /// TCP port of sshd.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// Path of the private key.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub private_key: PathBuf,
    /// Path of the known_hosts file that pins the node's host keys.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub known_hosts: PathBuf,
}

fn ssh_port() -> u16 {
    22
}

/// A machine that SSH reaches. `nodectl start` prints one for each node; it may also be written by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The node's name: its host name, and its name in Kubernetes.
    pub name: Name,
    /// The cluster that it belongs to.
    pub cluster: Name,
    /// Its place in the cluster.
    pub role: Role,
    /// Its addresses, at least one. SSH and the cluster use the first.
    pub addresses: Vec<IpAddr>,
    /// How to log in.
    pub ssh: Ssh,
    /// The image that nodectl started it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Name>,
    /// What it was doing when the record was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Process id, on the host, of the machine's own PID 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Fields that this version does not know, passed through.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Why records could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Standard input was empty.
    #[error(
        "no {what} on standard input; it ended empty, so the command before the pipe most likely failed: see its error above, or run `{hint}`"
    )]
    Empty {
        /// The kind of record: "image record", "node record".
        what: &'static str,
        /// A command that prints such records.
        hint: &'static str,
    },
    /// A line is not such a record.
    #[error(
        "line {line} of standard input is not a valid {what}: {text}; one JSON object a line is expected, as `{hint}` prints it"
    )]
    Malformed {
        /// The kind of record.
        what: &'static str,
        /// A command that prints such records.
        hint: &'static str,
        /// Number of the line, from 1.
        line: usize,
        /// The line's beginning.
        text: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// There is more of it than records can be.
    #[error("more than {} MiB on standard input; {what}s were expected, as `{hint}` prints them", untrusted::MOST >> 20)]
    TooMuch {
        /// The kind of record.
        what: &'static str,
        /// A command that prints such records.
        hint: &'static str,
    },
    /// Reading failed.
    #[error("cannot read records from standard input")]
    Read(#[source] io::Error),
    /// Writing failed.
    #[error("cannot write a record to standard output")]
    Write(#[source] io::Error),
}

/// A kind of record that travels through a pipe.
pub trait Record: Serialize + DeserializeOwned {
    /// Its name in error messages.
    const WHAT: &'static str;
    /// A command that prints such records.
    const HINT: &'static str;
}

impl Record for ImageRecord {
    const WHAT: &'static str = "image record";
    const HINT: &'static str = "nodectl images";
}

impl Record for NodeRecord {
    const WHAT: &'static str = "node record";
    const HINT: &'static str = "nodectl ls --json";
}

/// Read all records up to the end of `input`; blank lines are skipped.
///
/// # Errors
/// There are no records, or a line is not a record: the error names the first such line.
pub fn read_all<R: Record>(input: impl BufRead) -> Result<Vec<R>, RecordError> {
    let mut records = Vec::new();
    let mut input = input.take(untrusted::MOST);
    for number in 1.. {
        let mut line = String::new();
        let length = input.read_line(&mut line);
        if input.limit() == 0 {
            return Err(RecordError::TooMuch { what: R::WHAT, hint: R::HINT });
        }
        if length.map_err(RecordError::Read)? == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let record = serde_json::from_str(&line).map_err(|source| RecordError::Malformed {
            what: R::WHAT,
            hint: R::HINT,
            line: number,
            text: line.trim_end().chars().take(80).collect(),
            source,
        })?;
        records.push(record);
    }
    if records.is_empty() {
        return Err(RecordError::Empty { what: R::WHAT, hint: R::HINT });
    }
    Ok(records)
}

/// Write one record as a line, and flush it: the next command in the pipe may be waiting.
///
/// # Errors
/// The reader of the pipe has ended.
pub fn write<R: Record>(mut output: impl Write, record: &R) -> Result<(), RecordError> {
    let mut line = serde_json::to_vec(record).map_err(|e| RecordError::Write(e.into()))?;
    line.push(b'\n');
    output.write_all(&line).and_then(|()| output.flush()).map_err(RecordError::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"name":"node1","cluster":"dev","role":"control-plane","addresses":["10.0.0.2"],"ssh":{"user":"root","private_key":"/k","known_hosts":"/h"},"rack":"r7"}"#;

    #[test]
    fn a_hand_written_record_needs_no_image_state_or_pid_and_keeps_unknown_fields() {
        let nodes: Vec<NodeRecord> = read_all(LINE.as_bytes()).expect("a record");
        assert_eq!(nodes[0].ssh.port, 22);
        let mut out = Vec::new();
        write(&mut out, &nodes[0]).expect("written");
        let value: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(value["rack"], "r7");
        assert_eq!(value.get("pid"), None);
    }

    #[test]
    fn empty_input_names_the_likely_cause() {
        let error = read_all::<NodeRecord>("\n".as_bytes()).expect_err("empty").to_string();
        assert!(error.contains("command before the pipe"), "{error}");
    }

    #[test]
    fn a_malformed_line_is_named_by_its_number() {
        let error = read_all::<NodeRecord>(format!("{LINE}\nnot json\n").as_bytes()).expect_err("malformed");
        assert!(error.to_string().starts_with("line 2 "), "{error}");
    }

    #[test]
    fn a_name_that_escapes_its_directory_is_refused() {
        let line = LINE.replace("node1", "../x");
        assert!(read_all::<NodeRecord>(line.as_bytes()).is_err());
    }
}
