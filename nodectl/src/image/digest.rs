//! Name a result by all that goes into it, so that "is it there already?" is one look at the file system.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// A digest of labelled inputs.
pub(crate) struct Key(Sha256);

impl Key {
    /// Begin with the kind of thing, and its format: raise the number when the same inputs give something else.
    pub(crate) fn new(kind: &str) -> Self {
        Key(Sha256::new()).with("kind", kind)
    }

    /// Add an input. Lengths are part of it: `("a", "bc")` is not `("ab", "c")`.
    pub(crate) fn with(mut self, label: &str, value: impl AsRef<[u8]>) -> Self {
        for part in [label.as_bytes(), value.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Add several inputs of one kind, in their order.
    pub(crate) fn with_all<T: AsRef<[u8]>>(self, label: &str, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(self, |key, value| key.with(label, value))
    }

    /// 12 hexadecimal digits: enough among the few results that one machine keeps.
    pub(crate) fn finish(self) -> String {
        let mut text = hex(&self.0.finalize());
        text.truncate(12);
        text
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of what `reader` gives.
pub fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// SHA-256 of a file's content.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    sha256(File::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_kind_labels_values_and_their_borders() {
        let key = Key::new("k").with("a", "bc").finish();
        assert_eq!(key.len(), 12);
        assert_eq!(key, Key::new("k").with("a", "bc").finish(), "always the same");
        let others =
            [Key::new("l").with("a", "bc"), Key::new("k").with("ab", "c"), Key::new("k").with_all("a", ["b", "c"])];
        for other in others {
            assert_ne!(key, other.finish());
        }
    }

    #[test]
    fn digests_are_as_sha256sum_prints_them() {
        assert_eq!(
            sha256(b"abc".as_slice()).expect("read"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
