//! SSH keys: one for each cluster's user, and a host key for each node, pinned in known_hosts.

use std::path::Path;
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::{self, FileError};

/// Why a key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// ssh-keygen failed.
    #[error("cannot make an SSH key")]
    Keygen(#[from] CommandError),
    /// A file could not be read or removed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The public half of the Ed25519 key pair at `path`, which is made first when it does not exist: a line of
/// authorized_keys (sshd(8)) without its newline.
///
/// # Errors
/// ssh-keygen is missing or fails.
pub(crate) fn ensure(path: &Path, comment: &str) -> Result<String, KeyError> {
    let public = path.with_added_extension("pub");
    // ssh-keygen writes the public half last: without it the pair is incomplete.
    if !public.exists() {
        command::find("ssh-keygen", "openssh-client")?;
        let _ = std::fs::remove_file(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(FileError::of("create", parent))?;
        }
        let mut keygen = Command::new("ssh-keygen");
        command::output(keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]).arg(path))?;
    }
    let line = std::fs::read_to_string(&public).map_err(FileError::of("read", &public))?;
    Ok(line.trim_end().to_owned())
}

/// Write the known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") that pins `hosts`: names and public key of each.
pub(crate) fn pin(path: &Path, hosts: &[(Vec<String>, String)]) -> Result<(), FileError> {
    let mut text = String::new();
    for (names, public) in hosts {
        // Type and key, without the comment.
        let key: Vec<_> = public.split(' ').take(2).collect();
        text.push_str(&format!("{} {}\n", names.join(","), key.join(" ")));
    }
    files::write_durably(path, text, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_made_once_and_its_host_pinned() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ssh/id_ed25519");
        let first = ensure(&path, "a test").expect("made");
        assert_eq!(ensure(&path, "a test").expect("read"), first);
        let pinned = dir.path().join("known_hosts");
        pin(&pinned, &[(vec!["node1".into(), "10.0.0.2".into()], first)]).expect("written");
        let text = std::fs::read_to_string(pinned).expect("read");
        assert!(text.starts_with("node1,10.0.0.2 ssh-ed25519 AAAA"), "{text}");
        assert!(!text.contains("a test"), "{text}");
    }
}
