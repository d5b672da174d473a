//! The operating system of nodes, as data.

use crate::image::tools::Tool;

/// An operating system that mmdebstrap installs.
#[derive(Debug)]
pub(crate) struct Os {
    /// What it is called in messages.
    pub(super) name: &'static str,
    /// Its release.
    pub(super) release: &'static str,
    /// Where its packages come from, unless the user names a mirror: that is the only source then.
    sources: &'static [Suite<&'static str>],
    /// Its packages are signed by these keys, without which nothing is installed. Hosts other than Debian have a package
    /// of them, too.
    pub(super) keyring: Tool,
    /// What is installed beside its essential packages.
    pub(crate) packages: &'static [&'static str],
    /// Files that are not installed, as patterns.
    pub(super) excluded: &'static [&'static str],
}

/// A suite of an archive: `URL/dists/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suite<T> {
    /// The archive.
    pub(super) url: T,
    /// The suite's name.
    pub(super) name: T,
    /// Whether another date of it is reason enough to install the system anew.
    pub(super) counts: bool,
}

/// The node's. systemd 257, which this release has, is the last one that boots on cgroup version 1 too.
pub(crate) const NODE: Os = Os {
    name: "Debian",
    release: "trixie",
    sources: &[
        Suite { url: "http://deb.debian.org/debian", name: "trixie", counts: true },
        // Dated anew four times a day, whether anything in it has changed or not: it is installed with the next change of
        // the others.
        Suite { url: "http://deb.debian.org/debian", name: "trixie-updates", counts: false },
        Suite { url: "http://security.debian.org/debian-security", name: "trixie-security", counts: true },
    ],
    keyring: ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
    packages: &[
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
        // For people who log in.
        "curl",
        "iputils-ping",
        "less",
        "libcap2-bin",
        "openssl",
        "tzdata",
    ],
    excluded: &[
        "/usr/share/doc/*",
        "/usr/share/man/*",
        "/usr/share/info/*",
        "/usr/share/locale/*",
        "/usr/share/lintian/*",
        "/usr/share/bash-completion/*",
        "/usr/lib/udev/hwdb.d/*",
    ],
};

impl Os {
    /// What the host must have to install it.
    pub(crate) fn tools(&self) -> [Tool; 5] {
        [
            ("cp", "coreutils"),
            ("chroot", "coreutils"),
            ("unshare", "util-linux"),
            ("mmdebstrap", "mmdebstrap"),
            self.keyring,
        ]
    }

    /// The suites that it is installed from.
    pub(super) fn suites(&self, mirror: Option<&str>) -> Vec<Suite<String>> {
        match mirror {
            Some(url) => vec![Suite { url: url.to_owned(), name: self.release.to_owned(), counts: true }],
            None => self.sources.iter().map(Suite::owned).collect(),
        }
    }
}

impl Suite<&str> {
    fn owned(&self) -> Suite<String> {
        Suite { url: self.url.to_owned(), name: self.name.to_owned(), counts: self.counts }
    }
}

impl Suite<String> {
    /// As in a sources.list(5).
    pub(super) fn line(&self) -> String {
        format!("deb {} {} main", self.url, self.name)
    }
}
