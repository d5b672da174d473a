//! The system of a virtual machine: a Debian release on a disk, made once by mmdebstrap and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::succeed;

/// What every machine has: a desktop's usual parts, and the packages that ours depends on.
const PACKAGES: [&str; 29] = [
    "dbus",
    "initramfs-tools",
    "linux-image-cloud-amd64",
    "network-manager",
    "openssh-server",
    "polkitd",
    "systemd-sysv",
    "udev",
    "zstd",
    // The project's dependencies.
    "ansible-core",
    "containernetworking-plugins",
    "iproute2",
    "iptables",
    "kmod",
    "mmdebstrap",
    "nftables",
    "openssh-client",
    "procps",
    "python3",
    "systemd-container",
    "util-linux",
    // Those of its tests.
    "ca-certificates",
    "conntrack",
    "curl",
    "iputils-ping",
    "less",
    "netbase",
    "perl",
    "strace",
];

/// What no test reads.
const EXCLUDED: [&str; 4] = [
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/lib/python3/dist-packages/ansible_collections/*",
];

/// Sets the machine up, in its root directory.
const CUSTOMIZE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/vm/customize");

/// A Debian release with some packages.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// Debian's name of the release.
    pub suite: &'static str,
    /// Beside those that every machine has.
    pub packages: &'static [&'static str],
    /// Words of the kernel's command line, beside those that every machine's has.
    pub kernel_options: &'static str,
    /// What to set of an emulated processor (`,cx16=off`), beside what every machine's has.
    pub emulated_processor: &'static str,
}

/// A system on a disk, from which machines are copied.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Holds the file system, the kernel and its initramfs.
    dir: PathBuf,
    /// What is on it, and how to boot that.
    pub system: System,
}

impl Disk {
    /// The file system of the root directory.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root.raw")
    }

    /// The kernel.
    pub fn kernel(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// The kernel's initramfs.
    pub fn initrd(&self) -> PathBuf {
        self.dir.join("initrd.img")
    }
}

impl System {
    /// Its disk below the directory `cache`, made unless one is there that was made alike. `public_key` may log in.
    ///
    /// # Panics
    /// When mmdebstrap or mke2fs fails.
    pub fn disk(&self, cache: &Path, public_key: &Path) -> Disk {
        let disk = Disk { dir: cache.join(self.suite), system: *self };
        let dir = &disk.dir;
        let arguments = self.arguments();
        let script = fs::read_to_string(CUSTOMIZE).expect("readable");
        let key = fs::read_to_string(public_key).expect("readable");
        let wanted = format!("{}\n{script}\n{key}", arguments.join("\n"));
        let made = dir.join("made-of");
        if fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
            return disk;
        }
        let _ = fs::remove_dir_all(dir);
        let tree = dir.join("tree");
        fs::create_dir_all(dir).expect("created");
        // What it mounts there ends with it, however it ends: nothing but an empty directory would do for the next one.
        let mut mmdebstrap = Command::new("unshare");
        mmdebstrap.args(["--mount", "mmdebstrap"]).args(arguments).arg(self.suite).arg(&tree);
        succeed(mmdebstrap.env("PUBLIC_KEY", public_key));
        for (prefix, to) in [("vmlinuz-", disk.kernel()), ("initrd.img-", disk.initrd())] {
            fs::copy(find(&tree.join("boot"), prefix), to).expect("copied");
        }
        make_file_system(&tree, &disk.root(), 8);
        fs::remove_dir_all(&tree).expect("removed");
        fs::write(made, wanted).expect("written");
        disk
    }

    fn arguments(&self) -> Vec<String> {
        let packages: Vec<_> = PACKAGES.iter().chain(self.packages).copied().collect();
        let mut arguments = vec!["--mode=root".to_owned(), "--variant=minbase".into(), "--format=directory".into()];
        arguments.push(format!("--include={}", packages.join(",")));
        arguments.extend(EXCLUDED.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
        // A mirror that is a snapshot has lists that have expired.
        arguments.push("--aptopt=Acquire::Check-Valid-Until \"false\"".into());
        arguments.push(format!("--customize-hook={CUSTOMIZE}"));
        arguments
    }
}

fn find(dir: &Path, prefix: &str) -> PathBuf {
    let mut files = fs::read_dir(dir).expect("readable").map(|entry| entry.expect("readable").path());
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    files.find(named).unwrap_or_else(|| panic!("no {prefix}* in {}", dir.display()))
}

/// An ext4 file system with the files of `tree`, of `gigabytes`; it takes the room that is used of it.
///
/// # Panics
/// When that fails.
pub(super) fn make_file_system(tree: &Path, file: &Path, gigabytes: u32) {
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d"]);
    succeed(mke2fs.arg(tree).arg(file).arg(format!("{gigabytes}G")));
}
