//! Nodes' names in the host's /etc/hosts, on request: hosts with machined and nss-mymachines(8) resolve them anyway.
//!
//! Each line ends in a mark of its cluster. The rest of the file stays as it is, byte for byte.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::lock::Lock;
use foundation::name::Name;
use foundation::state::StateDirs;

const HOSTS: &str = "/etc/hosts";

/// A node's line.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The node's address.
    pub address: IpAddr,
    /// Its name.
    pub name: Name,
    /// Its cluster.
    pub cluster: Name,
}

/// Why the file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EtcHostsError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The new file could not be given the old one's owner and mode.
    #[error("cannot keep owner and mode of {}", path.display())]
    Attributes {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CommandError,
    },
}

/// Put the names of these nodes into the file, and of no others of the cluster: `NODE.CLUSTER`, and `NODE` where no other
/// line has that name.
///
/// # Errors
/// The file cannot be read or written; it is unchanged then.
pub fn add(dirs: &StateDirs, cluster: &Name, nodes: &[Entry]) -> Result<(), EtcHostsError> {
    let _lock = Lock::take_patiently(&dirs.lock("etc-hosts"))?;
    change(Path::new(HOSTS), |text| with(&without(text, &mark(dirs, cluster)), &mark(dirs, cluster), nodes))
}

/// As [`add`], if nodes of the cluster are in the file already. Without nodes, their lines are removed.
///
/// # Errors
/// As [`add`].
pub fn update(dirs: &StateDirs, cluster: &Name, nodes: &[Entry]) -> Result<(), EtcHostsError> {
    let _lock = Lock::take_patiently(&dirs.lock("etc-hosts"))?;
    let mark = mark(dirs, cluster);
    change(Path::new(HOSTS), |text| {
        let rest = without(text, &mark);
        if rest == text { rest } else { with(&rest, &mark, nodes) }
    })
}

/// Includes the state directory: another one may have a cluster of the same name.
fn mark(dirs: &StateDirs, cluster: &Name) -> String {
    format!("# nodectl: cluster {cluster} of {}", dirs.state.to_string_lossy().escape_default())
}

fn without(text: &[u8], mark: &str) -> Vec<u8> {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    lines.filter(|line| !line.trim_ascii_end().ends_with(mark.as_bytes())).flatten().copied().collect()
}

fn with(text: &[u8], mark: &str, nodes: &[Entry]) -> Vec<u8> {
    let mut new = text.to_vec();
    if !nodes.is_empty() && !new.is_empty() && !new.ends_with(b"\n") {
        new.push(b'\n');
    }
    for node in nodes {
        let short = if has(text, node.name.as_str()) { String::new() } else { format!(" {}", node.name) };
        new.extend(
            format!("{} {}{short} {mark}\n", node.address, format_args!("{}.{}", node.name, node.cluster)).into_bytes(),
        );
    }
    new
}

/// Whether a line has the name (hosts(5)).
fn has(text: &[u8], name: &str) -> bool {
    text.split(|&byte| byte == b'\n').any(|line| {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(1);
        words.any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// Replace the file, if it differs. A symbolic link to it stays.
fn change(path: &Path, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<(), EtcHostsError> {
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let old = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        old => Some(old.map_err(FileError::of("read", path))?),
    };
    let new = change(old.as_deref().unwrap_or_default());
    if new == old.as_deref().unwrap_or_default() {
        return Ok(());
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    let file = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(dir);
    let mut file = file.map_err(FileError::of("write in", dir))?;
    if old.is_some() {
        // Access control lists and SELinux's label, too.
        let mut cp = Command::new("cp");
        cp.args(["--attributes-only", "--preserve=all", "--"]).arg(path).arg(file.path());
        command::output(&mut cp).map_err(|source| EtcHostsError::Attributes { path: path.clone(), source })?;
    }
    let written = file.write_all(&new).and_then(|()| file.as_file().sync_all());
    written.map_err(FileError::of("write", path))?;
    let put = file.persist(path).map(drop).map_err(|error| error.error);
    let put = match put {
        // It is a mount point, as in a container of Docker's, and cannot be replaced.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => fs::write(path, &new),
        put => put,
    };
    Ok(put.map_err(FileError::of("write", path))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "# nodectl: cluster dev of /var/lib/kubeadm-systemd";

    fn nodes(names: &[&str]) -> Vec<Entry> {
        let name = |name: &str| name.parse::<Name>().expect("a label");
        let node = |(at, node): (usize, &&str)| Entry {
            address: [10, 200, 0, u8::try_from(at).expect("few") + 2].into(),
            name: name(node),
            cluster: name("dev"),
        };
        names.iter().enumerate().map(node).collect()
    }

    #[test]
    fn each_node_has_a_line_and_a_short_name_if_that_is_free() {
        let text = with(b"127.0.0.1 localhost Node2\n", MARK, &nodes(&["node1", "node2", "localhost"]));
        let expected = format!(
            "127.0.0.1 localhost Node2\n10.200.0.2 node1.dev node1 {MARK}\n10.200.0.3 node2.dev {MARK}\n\
             10.200.0.4 localhost.dev {MARK}\n"
        );
        assert_eq!(String::from_utf8_lossy(&text), expected);
        assert!(has(b"::1\tnode1#", "node1") && !has(b"node1 x\n#1.1.1.1 node1\n1.1.1.1 node11 # node1", "node1"));
    }

    #[test]
    fn what_is_not_ours_stays_whatever_it_is() {
        let others = format!("10.0.0.1 a # nodectl: cluster dev of /x\r\n1.1.1.1 b # {MARK} not\n").into_bytes();
        let long = [b"# ".as_slice(), &[b'x'; 100_000], b"\n"].concat();
        for odd in [&b""[..], b"\n\n", b"\xff\xfe\0\n", b"1.1.1.1 a\r\n", b" # only\n", &others, &long] {
            let added = with(odd, MARK, &nodes(&["node1", "node2"]));
            assert!(added.starts_with(odd));
            assert_eq!(without(&added, MARK), odd);
            // A user's own line after ours, and ours with an end that an editor has changed.
            let edited =
                [String::from_utf8_lossy(&added).replace(MARK, &format!("{MARK} \r")).as_bytes(), b"x y"].concat();
            assert!(without(&edited, MARK).ends_with(b"x y") && !has(&without(&edited, MARK), "node1"));
        }
        let unended = with(b"1.1.1.1 a", MARK, &nodes(&["node1"]));
        assert_eq!(without(&unended, MARK), b"1.1.1.1 a\n", "it needs an end of its line");
        assert_eq!(without(&with(b"1.1.1.1 a", MARK, &[]), MARK), b"1.1.1.1 a");
    }
}
