//! Debian trees, made by mmdebstrap, before anything of ours is put in: the operating system of a node, and that which
//! other images take programs from.

use std::path::PathBuf;
use std::process::Command;

use foundation::files::FileError;
use nix::sys::signal::Signal;

use super::Context;
use super::child::{self, ChildError};
use super::digest::Key;
use super::mirrors::Mirrors;
use super::tools::{self, ToolsError};

/// MiB that it needs, with the packages that it is made from.
const SPACE: u64 = 1024;

/// Debian's release. Its systemd, 257, is the last one that boots on cgroup version 1 too.
const SUITE: &str = "trixie";

/// Beside Debian's essential packages.
const PACKAGES: [&str; 24] = [
    // The machine.
    "systemd-sysv",
    "dbus",
    "openssh-server",
    // Ansible's modules need all of it: python3-minimal lacks http.
    "python3",
    // What kubeadm's preflight checks look for, and kubelet and containerd run.
    "conntrack",
    "ethtool",
    "iproute2",
    "iptables",
    "kmod",
    "mount",
    "nftables",
    "procps",
    "runc",
    "socat",
    "util-linux",
    // TLS of containerd, when it pulls.
    "ca-certificates",
    // /etc/protocols and /etc/services.
    "netbase",
    // What clusterctl sends is compressed.
    "zstd",
    // For a look around.
    "curl",
    "iputils-ping",
    "less",
    "libcap2-bin",
    "openssl",
    "tzdata",
];

/// What no node reads.
const EXCLUDED: [&str; 7] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    "/usr/share/bash-completion/*",
    "/usr/lib/udev/hwdb.d/*",
];

/// A base system.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its root directory. Never changed: its files are linked into images.
    pub tree: PathBuf,
    /// Digest of what it was asked to be.
    pub key: String,
}

/// Why there is no base system.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// mmdebstrap failed.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The disk is full.
    #[error(transparent)]
    Space(#[from] ToolsError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

fn arguments(mirror: Option<&str>, packages: &[&str]) -> Vec<String> {
    let mut arguments =
        vec!["--mode=root".to_owned(), "--variant=essential".to_owned(), "--format=directory".to_owned()];
    arguments.push(format!("--include={}", packages.join(",")));
    arguments.extend(EXCLUDED.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
    // No service may start while it is installed; no host key may be made that all nodes would share.
    arguments.push("--essential-hook=mkdir -p \"$1/etc/ssh\" && touch \"$1/etc/ssh/sshd_not_to_be_run\"".to_owned());
    arguments.push("--customize-hook=rm -f \"$1\"/etc/ssh/ssh_host_* \"$1/etc/ssh/sshd_not_to_be_run\"".to_owned());
    arguments.push(SUITE.to_owned());
    arguments.push("TARGET".to_owned());
    arguments.extend(mirror.map(str::to_owned));
    arguments
}

/// The base system of a node, made unless it is there.
///
/// # Errors
/// When mmdebstrap fails.
pub fn build(cx: &Context, mirrors: &Mirrors) -> Result<Base, BaseError> {
    with(cx, mirrors, &PACKAGES)
}

/// A tree with these packages beside Debian's essential ones, made unless it is there.
///
/// # Errors
/// As [`build`].
pub fn with(cx: &Context, mirrors: &Mirrors, packages: &[&str]) -> Result<Base, BaseError> {
    let arguments = arguments(mirrors.debian_mirror.as_deref(), packages);
    let key = Key::new("base 1").with("arch", super::arch()).with_all("argument", &arguments).finish();
    let tree = cx.cached("base", &key);
    if !tree.is_dir() {
        tools::space(cx.dirs.root(), SPACE)?;
        cx.progress.stage(&format!("install Debian {SUITE} (mmdebstrap)"), |stage| {
            let half = cx.building.join("base");
            // mmdebstrap waits for its children when it is told to end, and leaves them behind when it is killed: in
            // a PID namespace they end with it (pid_namespaces(7)).
            let mut unshare = Command::new("unshare");
            unshare.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "mmdebstrap"]);
            for argument in &arguments {
                if argument == "TARGET" {
                    unshare.arg(&half)
                } else {
                    unshare.arg(argument)
                };
            }
            unshare.env("LC_ALL", "C.UTF-8");
            child::run(child::contain(&mut unshare, Signal::SIGKILL), &cx.log("base"), stage)?;
            cx.keep(&half, &tree)?;
            Ok::<_, BaseError>(())
        })?;
    }
    Ok(Base { tree, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_comes_last_as_mmdebstrap_wants_it() {
        let arguments = super::arguments(Some("http://mirror.example/debian"), &PACKAGES);
        assert_eq!(arguments[arguments.len() - 3..], [SUITE, "TARGET", "http://mirror.example/debian"]);
        assert_eq!(super::arguments(None, &PACKAGES).last().map(String::as_str), Some("TARGET"));
    }
}
