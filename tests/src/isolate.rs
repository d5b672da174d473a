//! A host for one test: the calling thread, and all that it starts, have network and mount namespaces of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Give the calling thread a network namespace and a mount namespace, in which it plays the host.
///
/// Tests that make links, rules and namespaces then run side by side, and beside a real cluster. Each test has a thread
/// of its own, and child processes inherit its namespaces.
///
/// # Panics
/// When the kernel refuses: the tests must run as root.
pub fn isolate() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .expect("root may make namespaces; run the tests as root");
    bind(None, "/", MsFlags::MS_REC | MsFlags::MS_PRIVATE);

    // The sysfs that is there shows the links of the network namespace that it was mounted in.
    let aside = tempfile::tempdir().expect("a temporary directory");
    bind(Some(Path::new("/sys/fs/cgroup")), aside.path(), MsFlags::MS_BIND | MsFlags::MS_REC);
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>).expect("sysfs");
    bind(Some(aside.path()), "/sys/fs/cgroup", MsFlags::MS_BIND | MsFlags::MS_REC);
    nix::mount::umount2(aside.path(), nix::mount::MntFlags::MNT_DETACH).expect("unmounted");

    // In the first two, files have containers' names: those of two tests may be the same. The others are hidden so that
    // the machine's own NetworkManager and firewalld are told nothing.
    for dir in ["/run/netns", "/run/systemd/nspawn", "/run/dbus", "/run/NetworkManager", "/run/firewalld"] {
        fs::create_dir_all(dir).expect("created");
        mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("a tmpfs");
    }
    let status =
        Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip runs; the tests need iproute2");
    assert!(status.success(), "the loopback is set up");
}

fn bind(source: Option<&Path>, target: impl AsRef<Path>, flags: MsFlags) {
    let target = target.as_ref();
    mount(source, target, None::<&str>, flags, None::<&str>)
        .unwrap_or_else(|error| panic!("cannot mount {}: {error}", target.display()));
}
