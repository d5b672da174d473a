//! What this machine's architecture is called.

/// In Go's and OCI's words: amd64, arm64.
pub fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
