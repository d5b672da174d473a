//! SSH keys: one for the user of each cluster, one for each node as its host key, made here and pinned.

use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::{self, FileError};

/// Why a key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// ssh-keygen failed.
    #[error("cannot make an SSH key")]
    Keygen(#[from] CommandError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A key pair on disk.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// Path of the private half; mode 0600.
    pub private: PathBuf,
    /// The public half, as a line of authorized_keys (sshd(8)) without its newline.
    pub public: String,
}

/// Read the Ed25519 key pair at `path`, made first when it is not there.
///
/// # Errors
/// When ssh-keygen is missing or fails.
pub fn ensure(path: &Path, comment: &str) -> Result<KeyPair, KeyError> {
    let public = path.with_added_extension("pub");
    // The public half is written last: without it the pair is half-made.
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
    Ok(KeyPair { private: path.to_owned(), public: line.trim_end().to_owned() })
}

/// Write the known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") that pins `hosts`: names and public key of each.
///
/// # Errors
/// When the file cannot be written.
pub fn pin(path: &Path, hosts: &[(Vec<String>, String)]) -> Result<(), FileError> {
    let mut text = String::new();
    for (names, public) in hosts {
        // Type and key only: the comment is ours.
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
        assert_eq!(ensure(&path, "a test").expect("read").public, first.public);
        let pinned = dir.path().join("known_hosts");
        pin(&pinned, &[(vec!["node1".into(), "10.0.0.2".into()], first.public.clone())]).expect("written");
        let text = std::fs::read_to_string(pinned).expect("read");
        assert!(text.starts_with("node1,10.0.0.2 ssh-ed25519 AAAA"), "{text}");
        assert!(!text.contains("a test"), "{text}");
    }
}
