//! The root file system of a node: the base system, our programs, their configuration, and nothing that a node in a
//! container does not need.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use foundation::files::{self as disk, FileError};

use super::base::Base;
use super::units::{ENABLED, MASKED, UNUSED_TMPFILES};
use crate::clone::{self, CloneError};
use crate::image::digest::Key;
use crate::image::programs::catalog;
use crate::image::programs::program::Programs;
use crate::tree;

/// Files of ours, beside those of the projects. `@PAUSE@` becomes the pause image.
const FILES: [(&str, &str); 13] = [
    ("etc/containerd/config.toml", include_str!("../../../assets/node/containerd.toml")),
    // The playbook writes the same file, and does not restart containerd where it finds it.
    (
        "etc/containerd/conf.d/20-pod-network.toml",
        include_str!("../../../../ansible/roles/pod_network/files/20-pod-network.toml"),
    ),
    ("etc/systemd/system/legacy-cgroups.service", include_str!("../../../assets/node/legacy-cgroups.service")),
    ("etc/systemd/system/containerd.service", include_str!("../../../assets/node/containerd.service")),
    ("usr/lib/systemd/system/kubelet.service", include_str!("../../../assets/node/kubelet.service")),
    ("usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", include_str!("../../../assets/node/10-kubeadm.conf")),
    (
        "etc/systemd/system/kubelet.service.d/20-wait-for-kubeadm.conf",
        include_str!("../../../assets/node/20-wait-for-kubeadm.conf"),
    ),
    ("etc/ssh/sshd_config.d/10-node.conf", include_str!("../../../assets/node/sshd.conf")),
    ("etc/systemd/journald.conf.d/10-node.conf", include_str!("../../../assets/node/journald.conf")),
    ("etc/systemd/system.conf.d/10-node.conf", include_str!("../../../assets/node/system.conf")),
    // nodectl start writes one for each node.
    ("etc/machine-id", ""),
    ("etc/resolv.conf", ""),
    ("etc/fstab", ""),
];

/// Directories of ours.
const DIRECTORIES: [&str; 5] =
    ["etc/containerd/conf.d", "etc/cni/net.d", "etc/kubernetes/manifests", "var/log/journal", "root/.ssh"];

/// Files that slow down each login or boot, or that describe another machine.
const REMOVED: [&str; 7] = [
    // D-Bus starts it on demand: for `systemctl poweroff`, and for a kubelet with a shutdownGracePeriod, which delays a
    // shutdown by logind's inhibitors.
    "usr/lib/systemd/system/multi-user.target.wants/systemd-logind.service",
    "etc/hostname",
    "etc/update-motd.d/10-uname",
    "etc/motd",
    "var/cache/ldconfig/aux-cache",
    "var/log/apt",
    "var/log/dpkg.log",
];

/// The root file system could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    /// The base system could not be cloned.
    #[error(transparent)]
    Clone(#[from] CloneError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Where programs go: name and directory.
fn places() -> impl Iterator<Item = (&'static str, &'static str)> {
    catalog::of_nodes().flat_map(|project| project.placed())
}

/// Files of ours: path and content.
fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.into_iter().chain(catalog::of_nodes().flat_map(|project| project.files).copied())
}

/// Digest of all that this file puts in, but the programs.
pub(crate) fn key() -> String {
    Key::new("rootfs 1")
        .with_all("file", files().flat_map(|(path, content)| [path, content]))
        .with_all("place", places().flat_map(|(name, dir)| [name, dir]))
        .with_all("directory", DIRECTORIES)
        .with_all("removed", REMOVED)
        .with_all("enabled", ENABLED.iter().flat_map(|(unit, dir, target)| [unit, dir, target]))
        .with_all("masked", MASKED)
        .with_all("tmpfiles", UNUSED_TMPFILES)
        .finish()
}

/// Put it together in `root`, which does not exist yet. `programs` may lack some of the programs.
pub(crate) fn build(root: &Path, base: &Base, programs: &Programs, pause: &str) -> Result<(), RootfsError> {
    clone::directory(&base.tree, root)?;
    for (name, dir) in places() {
        if let Some(program) = programs.get(name) {
            link(&program.path, &root.join(dir).join(name))?;
        }
    }
    for path in REMOVED {
        remove(&root.join(path))?;
    }
    for dir in DIRECTORIES {
        let path = root.join(dir);
        fs::create_dir_all(&path).map_err(FileError::of("create", &path))?;
    }
    for (path, content) in files() {
        put(&root.join(path), &content.replace("@PAUSE@", pause))?;
    }
    let system = root.join("etc/systemd/system");
    for (unit, dir, target) in ENABLED {
        place_link(&Path::new(dir).join(unit), &system.join(format!("{target}.wants")).join(unit))?;
    }
    for unit in MASKED {
        place_link(Path::new("/dev/null"), &system.join(unit))?;
    }
    for settings in UNUSED_TMPFILES {
        place_link(Path::new("/dev/null"), &root.join("etc/tmpfiles.d").join(settings))?;
    }
    place_link(Path::new("/usr/lib/systemd/system/multi-user.target"), &system.join("default.target"))?;
    Ok(())
}

/// Upstream publishes etcdctl in etcd's image alone: take it from there, out of an image `store` that is filled.
pub(crate) fn link_etcdctl(root: &Path, store: &Path) -> Result<(), FileError> {
    let snapshots = store.join("io.containerd.snapshotter.v1.overlayfs/snapshots");
    // Links in a layer are not trusted: whoever made the image chose them.
    let etcdctl = |id: String| tree::resolve(&snapshots.join(id).join("fs"), Path::new("usr/local/bin/etcdctl")).ok();
    match disk::names_in(&snapshots)?.into_iter().filter_map(etcdctl).find(|path| path.is_file()) {
        Some(program) => link(&program, &root.join("usr/local/bin/etcdctl")),
        // A newer etcd's image may have none, and no node needs it.
        None => Ok(()),
    }
}

/// Replace, never write into: the file may be a link into the base system.
fn put(path: &Path, content: &str) -> Result<(), FileError> {
    remove(path)?;
    make_parent(path)?;
    fs::write(path, content).map_err(FileError::of("write", path))
}

fn link(program: &Path, path: &Path) -> Result<(), FileError> {
    remove(path)?;
    make_parent(path)?;
    fs::hard_link(program, path).map_err(FileError::of("link", path))
}

fn place_link(target: &Path, path: &Path) -> Result<(), FileError> {
    remove(path)?;
    make_parent(path)?;
    symlink(target, path).map_err(FileError::of("link", path))
}

fn make_parent(path: &Path) -> Result<(), FileError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(FileError::of("create", parent))
}

fn remove(path: &Path) -> Result<(), FileError> {
    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return disk::remove_tree(path);
    }
    disk::remove_if_exists(path)
}

/// `PRETTY_NAME` of os-release(5).
pub(crate) fn os_name(root: &Path) -> Result<String, FileError> {
    let path: PathBuf = root.join("usr/lib/os-release");
    let text = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Ok(name.map_or("Linux", |name| name.trim_matches('"')).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::programs::program::Program;

    #[test]
    fn the_base_system_stays_as_it_is_while_files_of_it_are_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = Base { tree: dir.path().join("base"), key: String::new() };
        put(&base.tree.join("etc/machine-id"), "uninitialized\n").expect("written");
        put(&base.tree.join("usr/lib/os-release"), "NAME=x\nPRETTY_NAME=\"Debian 13\"\n").expect("written");
        let kubeadm = dir.path().join("kubeadm");
        fs::write(&kubeadm, "program").expect("written");
        let programs = [("kubeadm", Program { path: kubeadm, key: String::new() })].into();

        let root = dir.path().join("root");
        build(&root, &base, &programs, "example.org/pause:1").expect("built");
        let read = |path: PathBuf| fs::read_to_string(path).expect("read");
        assert_eq!(read(root.join("etc/machine-id")), "");
        assert_eq!(read(base.tree.join("etc/machine-id")), "uninitialized\n");
        assert_eq!(read(root.join("usr/bin/kubeadm")), "program");
        assert!(read(root.join("etc/containerd/config.toml")).contains("sandbox = \"example.org/pause:1\""));
        assert_eq!(os_name(&root).expect("named"), "Debian 13");
        let masked = fs::read_link(root.join("etc/systemd/system/systemd-sysctl.service")).expect("a link");
        assert_eq!(masked, Path::new("/dev/null"));
        let nologin = fs::read_link(root.join("etc/tmpfiles.d/systemd-nologin.conf")).expect("a link");
        assert_eq!(nologin, Path::new("/dev/null"));
    }
}
