//! What the fields of records may contain, checked when one is read: Ansible's templates, ssh_config(5)'s tokens and
//! overlayfs' options interpret these strings again, and must find plain words only.

use std::path::{Component, PathBuf};

use serde::de::{Deserialize, Deserializer, Error};

/// Maximum size of a pipe's content, in bytes. The records of 200 nodes take a hundred thousand.
pub const MOST: u64 = 16 << 20;

/// A user as useradd(8) makes them: beginning with a letter or `_`, then also digits and `-`, at most 32.
pub fn user<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let user = String::deserialize(deserializer)?;
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_later = |c: char| is_first(c) || c.is_ascii_digit() || c == '-';
    if user.starts_with(is_first) && user.chars().all(is_later) && user.len() <= 32 {
        return Ok(user);
    }
    Err(D::Error::custom(format_args!(
        "user {user:?} is not made of a-z, A-Z, 0-9, '_' and '-', beginning with a letter"
    )))
}

/// The absolute path of a file that SSH reads. No blank or quote, which end a word of its options; no `{`, `%`, `$` or
/// `~`, which Ansible or ssh_config(5) replace.
pub fn ssh_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@:,=".contains(c);
    let path = String::deserialize(deserializer)?;
    if path.starts_with('/') && path.chars().all(is_plain) {
        return Ok(path.into());
    }
    Err(D::Error::custom(format_args!(
        "path {path:?} is not absolute, or has a character that SSH's options cannot carry; use letters, digits and /._-+@:,="
    )))
}

/// The same for an optional field.
pub(super) fn optional_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    ssh_file(deserializer).map(Some)
}

/// A version, a digest, an image's name and tag: one word, and no option.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let word = String::deserialize(deserializer)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(is_plain) && word.len() <= 512 {
        return Ok(word);
    }
    Err(D::Error::custom(format_args!("{word:?} is not one word of letters, digits and /._-+@:")))
}

/// The same for an optional field.
pub(super) fn optional_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    word(deserializer).map(Some)
}

/// The absolute path of an image's directory, which becomes a part of mount options: overlayfs splits those at `,` and
/// `:`, and takes `\` for an escape.
pub fn image_dir<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    let leads_up = path.components().any(|component| component == Component::ParentDir);
    let splits = |c: char| matches!(c, ',' | ':' | '\\') || c.is_control();
    if path.is_absolute() && !leads_up && !path.to_string_lossy().contains(splits) {
        return Ok(path);
    }
    Err(D::Error::custom(format_args!(
        "path {path:?} is not absolute, or has \"..\", ',', ':', '\\' or a control character, which a mount's options cannot carry"
    )))
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    /// Which of `texts` are taken.
    fn taken<'t, T: Debug>(
        check: impl Fn(StrDeserializer<'t, Error>) -> Result<T, Error>,
        texts: &[&'t str],
    ) -> Vec<&'t str> {
        texts.iter().copied().filter(|text| check(text.into_deserializer()).is_ok()).collect()
    }

    #[test]
    fn a_user_is_no_option_and_no_template() {
        let hostile = ["", "-oProxyCommand=x", "{{ lookup('pipe', 'id') }}", "a b", "a@b", "a\n", "0a", "root;id", "é"];
        assert_eq!(taken(user, &hostile), [""; 0]);
        assert_eq!(taken(user, &["root", "_apt", "core-1"]), ["root", "_apt", "core-1"]);
        assert!(taken(user, &["a".repeat(33).as_str()]).is_empty());
    }

    #[test]
    fn a_file_of_ssh_is_one_word_that_nothing_replaces() {
        let hostile = [
            "", "key", "~/key", "/a b", "/a\tb", "/a\nb", "/a'b", "/a\"b", "/%h", "/$HOME", "/{{x}}", "/{%x%}", "/a#b",
            "/\0",
        ];
        assert_eq!(taken(ssh_file, &hostile), [""; 0]);
        let good = ["/var/lib/kubeadm-systemd/clusters/a/ssh/id_ed25519", "/home/jürgen/.ssh/key+1", "/a/../b@c"];
        assert_eq!(taken(ssh_file, &good), good);
    }

    #[test]
    fn an_image_is_one_layer_of_a_mount() {
        let hostile = ["", "images/a", "/a/../b", "/a,upperdir=/etc", "/a:/b", "/a\\", "/a\nb", "/a\0"];
        assert_eq!(taken(image_dir, &hostile), [""; 0]);
        assert_eq!(taken(image_dir, &["/var/lib/a b/0"]), ["/var/lib/a b/0"]);
    }
}
