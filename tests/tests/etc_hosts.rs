//! Nodes' names in the /etc/hosts of a host of the test's own: whose it was, it stays.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use foundation::name::Name;
use foundation::state::StateDirs;
use nix::mount::{MsFlags, mount};
use nodectl::host::etc_hosts::{self, Entry};

const OWN: &str = "127.0.0.1 localhost\n";

struct Host {
    dir: tempfile::TempDir,
    dirs: StateDirs,
    cluster: Name,
}

impl Host {
    /// A host whose /etc is a directory of ours.
    fn new() -> Self {
        tests::isolate();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [etc, state, run] = ["etc", "state", "run"].map(|name| dir.path().join(name));
        fs::create_dir(&etc).expect("created");
        bind(&etc, Path::new("/etc"));
        Host { dir, dirs: StateDirs { state, run }, cluster: "dev".parse().expect("a label") }
    }

    fn add(&self) {
        let node = Entry {
            address: [10, 200, 0, 2].into(),
            name: "node1".parse().expect("a label"),
            cluster: self.cluster.clone(),
        };
        etc_hosts::add(&self.dirs, &self.cluster, &[node]).expect("added");
    }

    fn remove(&self) {
        etc_hosts::update(&self.dirs, &self.cluster, &[]).expect("removed");
    }
}

fn bind(from: &Path, to: &Path) {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("mounted");
}

fn hosts() -> String {
    fs::read_to_string("/etc/hosts").expect("there")
}

fn entries() -> Vec<String> {
    foundation::files::names_in(Path::new("/etc")).expect("listed")
}

#[test]
fn owner_mode_and_link_stay_and_nothing_else_is_left() {
    let host = Host::new();
    fs::write("/etc/real", OWN).expect("written");
    fs::set_permissions("/etc/real", Permissions::from_mode(0o640)).expect("set");
    chown("/etc/real", Some(65534), Some(1)).expect("set");
    symlink("real", "/etc/hosts").expect("linked");
    host.add();
    assert!(hosts().starts_with(OWN) && hosts().contains("\n10.200.0.2 node1.dev node1 # nodectl: cluster dev of /"));
    let first = fs::metadata("/etc/real").expect("there");
    assert_eq!((first.mode() & 0o777, first.uid(), first.gid()), (0o640, 65534, 1));
    host.add();
    assert_eq!(fs::metadata("/etc/real").expect("there").ino(), first.ino(), "not written without need");
    host.remove();
    assert_eq!(hosts(), OWN);
    assert!(Path::new("/etc/hosts").is_symlink());
    assert_eq!(entries(), ["hosts", "real"]);
}

#[test]
fn a_file_that_is_mounted_is_written_in_place() {
    let host = Host::new();
    let real = host.dir.path().join("hosts");
    for path in [&real, Path::new("/etc/hosts")] {
        fs::write(path, OWN).expect("written");
    }
    bind(&real, Path::new("/etc/hosts"));
    host.add();
    assert!(fs::read_to_string(&real).expect("there").contains("node1.dev"));
    host.remove();
    assert_eq!((hosts(), entries()), (OWN.to_owned(), vec!["hosts".to_owned()]));
}

#[test]
fn a_host_without_the_file_gets_one() {
    let host = Host::new();
    host.remove();
    assert!(entries().is_empty());
    host.add();
    assert_eq!(fs::metadata("/etc/hosts").expect("there").mode() & 0o777, 0o644);
    assert!(hosts().starts_with("10.200.0.2 node1.dev node1 # "));
}
