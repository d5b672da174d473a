//! Kubernetes as upstream publishes it: programs from its download site, images from its registry, containerd and the
//! CNI plugins from their own releases.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};

use super::component::{CNI_PLUGINS, CONTAINERD};
use super::digest::Key;
use super::download::{Client, DownloadError};
use super::mirrors::Mirrors;
use super::source::Version;
use super::store::Supply;
use super::unpack;
use super::wanted::Reference;
use super::{CNI_PROGRAMS, CONTAINERD_PROGRAMS, Context, Program, Programs, arch};

/// Of Kubernetes' programs, those that run on the node itself. The others are in images.
const NODE_PROGRAMS: [&str; 3] = ["kubeadm", "kubelet", "kubectl"];

/// Of upstream's archive of tests.
const SUITE_PROGRAMS: [&str; 2] = ["e2e.test", "ginkgo"];

/// The registry in the images' names.
const REGISTRY: &str = "registry.k8s.io";

/// Why a release could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A file could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// An archive lacks a program.
    #[error("{url} has no {program} in it")]
    Lacks {
        /// The archive's address.
        url: String,
        /// The program.
        program: &'static str,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Fetch the programs of a node, unless they are there.
///
/// # Errors
/// When one cannot be fetched, or is not what its digest says.
pub fn programs(cx: &Context, mirrors: &Mirrors, version: &Version) -> Result<Programs, ReleaseError> {
    let client = Client::default();
    let arch = arch();
    let mut programs = Programs::new();
    let base = format!("{}/{version}/bin/linux/{arch}", mirrors.release_url);
    fetch(cx, &mut programs, &format!("kubernetes {version}"), &base, NODE_PROGRAMS, |dir, stage| {
        for name in NODE_PROGRAMS {
            let url = format!("{base}/{name}");
            client.verified(stage, &url, &format!("{url}.sha256"), &dir.join(name))?;
        }
        Ok(())
    })?;

    // The static build: it runs on this host too, whose C library may be another one.
    let number = CONTAINERD.trim_start_matches('v');
    let url = format!("{}/{CONTAINERD}/containerd-static-{number}-linux-{arch}.tar.gz", mirrors.containerd_url);
    fetch(cx, &mut programs, &format!("containerd {CONTAINERD}"), &url, CONTAINERD_PROGRAMS, |dir, stage| {
        unpacked(&client, cx, stage, &url, ".sha256sum", &CONTAINERD_PROGRAMS, dir)
    })?;

    let url = format!("{}/{CNI_PLUGINS}/cni-plugins-linux-{arch}-{CNI_PLUGINS}.tgz", mirrors.cni_plugins_url);
    let names = CNI_PROGRAMS.map(|(_, name)| name);
    fetch(cx, &mut programs, &format!("cni-plugins {CNI_PLUGINS}"), &url, names, |dir, stage| {
        unpacked(&client, cx, stage, &url, ".sha256", &names, dir)
    })?;
    Ok(programs)
}

/// Fetch one of Kubernetes' programs, unless it is there: those of images are published beside them.
///
/// # Errors
/// When it cannot be fetched, or is not what its digest says.
pub fn program(
    cx: &Context,
    mirrors: &Mirrors,
    version: &Version,
    name: &'static str,
) -> Result<Programs, ReleaseError> {
    let mut programs = Programs::new();
    let url = format!("{}/{version}/bin/linux/{}/{name}", mirrors.release_url, arch());
    fetch(cx, &mut programs, &format!("{name} {version}"), &url, [name], |dir, stage| {
        Ok(Client::default().verified(stage, &url, &format!("{url}.sha256"), &dir.join(name))?)
    })?;
    Ok(programs)
}

/// Fetch the end-to-end tests, with what runs them, unless they are there.
///
/// # Errors
/// As [`program`].
pub fn suite(cx: &Context, mirrors: &Mirrors, version: &Version) -> Result<Programs, ReleaseError> {
    let mut programs = program(cx, mirrors, version, "kubectl")?;
    let url = format!("{}/{version}/kubernetes-test-linux-{}.tar.gz", mirrors.release_url, arch());
    fetch(cx, &mut programs, &format!("e2e {version}"), &url, SUITE_PROGRAMS, |dir, stage| {
        unpacked(&Client::default(), cx, stage, &url, ".sha256", &SUITE_PROGRAMS, dir)
    })?;
    Ok(programs)
}

/// Fetch one component to a directory of its own in the cache, whole or not at all.
fn fetch<const N: usize>(
    cx: &Context,
    programs: &mut Programs,
    what: &str,
    url: &str,
    names: [&'static str; N],
    get: impl FnOnce(&Path, &super::progress::Stage) -> Result<(), ReleaseError>,
) -> Result<(), ReleaseError> {
    let key = Key::new("release 1").with("url", url).with_all("program", names).finish();
    let done = cx.cached("bin", &format!("release/{key}"));
    if !done.is_dir() {
        cx.progress.stage(&format!("fetch {what}"), |stage| {
            let half = cx.building.join("release");
            fs::create_dir_all(&half).map_err(FileError::of("create", &half))?;
            get(&half, stage)?;
            for program in names {
                let path = half.join(program);
                let made = fs::set_permissions(&path, Permissions::from_mode(0o755));
                made.map_err(|_| ReleaseError::Lacks { url: url.to_owned(), program })?;
            }
            Ok::<_, ReleaseError>(cx.keep(&half, &done)?)
        })?;
    }
    programs.extend(names.map(|name| (name, Program { path: done.join(name), key: key.clone() })));
    Ok(())
}

fn unpacked(
    client: &Client,
    cx: &Context,
    stage: &super::progress::Stage,
    url: &str,
    digest_suffix: &str,
    names: &[&str],
    dir: &Path,
) -> Result<(), ReleaseError> {
    let archive = cx.building.join("archive.tar.gz");
    client.verified(stage, url, &format!("{url}{digest_suffix}"), &archive)?;
    Ok(unpack::files(&archive, names, dir)?)
}

/// The images, to be pulled from the registry or its mirror.
///
/// # Errors
/// When the mirror cannot be written down for containerd.
pub fn images(cx: &Context, mirrors: &Mirrors, wanted: &[Reference]) -> Result<Vec<Supply>, FileError> {
    let hosts = mirrors.registry.as_deref().map(|registry| hosts_dir(cx, registry)).transpose()?;
    let supply = |reference: &Reference| {
        let key = Key::new("registry 1").with("reference", &reference.full);
        let key = key.with("mirror", mirrors.registry.as_deref().unwrap_or_default()).finish();
        Supply::Registry { reference: reference.full.clone(), hosts: hosts.clone(), key }
    };
    Ok(wanted.iter().map(supply).collect())
}

/// A directory as containerd's `--hosts-dir` wants it.
fn hosts_dir(cx: &Context, registry: &str) -> Result<PathBuf, FileError> {
    let dir = cx.building.join("hosts");
    files::write_durably(&dir.join(REGISTRY).join("hosts.toml"), hosts_toml(registry), 0o644)?;
    Ok(dir)
}

/// Nothing but the mirror: what it does not have is an error, not a reason to ask another one.
fn hosts_toml(registry: &str) -> String {
    let url = if registry.contains("://") { registry.to_owned() } else { format!("https://{registry}") };
    format!("server = {url:?}\n\n[host.{url:?}]\n  capabilities = [\"pull\", \"resolve\"]\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_without_a_scheme_is_asked_over_tls() {
        assert!(hosts_toml("mirror.example").starts_with("server = \"https://mirror.example\"\n"));
        assert!(hosts_toml("http://127.0.0.1:5000").contains("[host.\"http://127.0.0.1:5000\"]"));
    }
}
