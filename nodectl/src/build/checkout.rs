//! Kubernetes from a checkout: its own build output where that is up to date, else built in it by `go build`, whose
//! cache makes a small change a matter of seconds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use nix::sys::signal::Signal;
use walkdir::WalkDir;

use super::child::{self, ChildError};
use super::component;
use super::digest::{self, Key};
use super::source::{SourceError, Version};
use super::{Context, PROGRAMS, Program, Programs, arch};
use crate::command::{self, CommandError};
use crate::files::{self, FileError};

/// Where the source of the programs is, in a checkout.
const SOURCES: [&str; 6] = ["cmd", "pkg", "plugin", "staging/src", "third_party", "vendor"];

/// Why a checkout is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// It is none.
    #[error("{} is no checkout of Kubernetes: it has no {missing}", path.display())]
    NotOne {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// Nobody says which version it is.
    #[error(
        "cannot tell the version of {}: no tag v* can be reached from its HEAD; fetch tags, or set KUBE_GIT_VERSION",
        path.display()
    )]
    NoVersion {
        /// The directory.
        path: PathBuf,
    },
    /// The version is not one.
    #[error(transparent)]
    Version(#[from] SourceError),
    /// git or kubeadm failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It does not compile.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The programs of the checkout at `path`, copied to the cache under the digest of their content, and its version.
///
/// # Errors
/// When it is no checkout or does not compile.
pub fn build(cx: &Context, path: &Path) -> Result<(Version, Programs), CheckoutError> {
    for missing in ["go.mod", "cmd/kubeadm", "build/pause/linux/pause.c"] {
        if !path.join(missing).exists() {
            return Err(CheckoutError::NotOne { path: path.to_owned(), missing });
        }
    }
    let made = path.join("_output/local/bin/linux").join(arch());
    if is_newer(&made, newest_source(path)?) {
        eprintln!("build: using the programs in {}", made.display());
        return Ok((version_of(&made.join("kubeadm"))?, keep(cx, &made)?));
    }
    let version = version(path)?;
    let out = compile(cx, path, &version)?;
    Ok((version, keep(cx, &out)?))
}

/// Compile in the checkout. The programs stay where they are, so that go links only what has changed.
fn compile(cx: &Context, path: &Path, version: &Version) -> Result<PathBuf, CheckoutError> {
    let out = working_dir(cx, path).join("bin");
    fs::create_dir_all(&out).map_err(FileError::of("create", &out))?;
    let variables = component::version_variables(version).into_iter().map(|variable| format!(" -X {variable}"));
    let mut go = Command::new("go");
    go.args(["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags"]);
    go.arg(format!("-s -w{}", variables.collect::<String>())).arg("-o").arg(&out);
    go.args(PROGRAMS.map(|program| format!("./cmd/{program}"))).env("CGO_ENABLED", "0").current_dir(path);
    cx.progress.stage(&format!("compile {version} in {} (go)", path.display()), |stage| {
        child::run(child::contain(&mut go, Signal::SIGTERM), &cx.log("checkout"), stage)
    })?;
    Ok(out)
}

/// Copies that nobody changes, each in a directory named by its content.
fn keep(cx: &Context, dir: &Path) -> Result<Programs, CheckoutError> {
    let memory = working_dir(cx, dir).join("digests.json");
    let known: Digests = files::read_json(&memory).unwrap_or_default().unwrap_or_default();
    let mut seen = Digests::new();
    let mut programs = Programs::new();
    for name in PROGRAMS {
        let from = dir.join(name);
        let stamp = stamp(&from).map_err(FileError::of("read", &from))?;
        let key = match known.get(name) {
            Some((before, key)) if *before == stamp => key.clone(),
            _ => digest::sha256_file(&from).map_err(FileError::of("read", &from))?.chars().take(12).collect(),
        };
        let path = cx.cached("bin", &format!("{name}/{key}/{name}"));
        if !path.is_file() {
            let half = cx.building.join(name);
            fs::copy(&from, &half).map_err(FileError::of("copy", &from))?;
            cx.keep(&half, &path)?;
        }
        seen.insert(name.to_owned(), (stamp, key.clone()));
        programs.insert(name, Program { path, key });
    }
    if seen != known {
        files::write_json(&memory, &seen)?;
    }
    Ok(programs)
}

/// A program's stamp and the digest of its content: half a gigabyte need not be read to see that nothing has changed.
type Digests = BTreeMap<String, (Stamp, String)>;

/// What changes when a file is written or replaced: inode, size, and seconds and nanoseconds of its last change.
type Stamp = (u64, u64, i64, i64);

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
}

/// Our own directory for what belongs to a directory of the user's.
fn working_dir(cx: &Context, path: &Path) -> PathBuf {
    cx.cached("checkout", &Key::new("checkout 1").with("path", path.as_os_str().as_encoded_bytes()).finish())
}

/// When the source was last changed.
fn newest_source(path: &Path) -> Result<SystemTime, FileError> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for dir in SOURCES {
        for entry in WalkDir::new(path.join(dir)).into_iter().flatten() {
            let is_go = entry.path().extension().is_some_and(|extension| extension == "go");
            if is_go && let Ok(modified) = entry.metadata().map_err(io::Error::from).and_then(|m| m.modified()) {
                newest = newest.max(modified);
            }
        }
    }
    Ok(newest)
}

/// Whether `dir` holds all programs, each younger than the source.
fn is_newer(dir: &Path, source: SystemTime) -> bool {
    let modified = |name: &&str| fs::metadata(dir.join(name)).and_then(|metadata| metadata.modified());
    PROGRAMS.iter().all(|name| modified(name).is_ok_and(|program| program >= source))
}

fn version_of(kubeadm: &Path) -> Result<Version, CheckoutError> {
    let output = command::output(Command::new(kubeadm).args(["version", "--output", "short"]))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// The version as upstream's own build finds it (hack/lib/version.sh), KUBE_GIT_VERSION before all.
fn version(path: &Path) -> Result<Version, CheckoutError> {
    if let Ok(version) = std::env::var("KUBE_GIT_VERSION") {
        return Ok(version.parse()?);
    }
    let git = |arguments: &[&str]| {
        let output = command::output(Command::new("git").arg("-C").arg(path).args(arguments))?;
        Ok::<_, CommandError>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let described = git(&["describe", "--tags", "--match=v*", "--abbrev=14"])
        .map_err(|_| CheckoutError::NoVersion { path: path.to_owned() })?;
    let dirty = if git(&["status", "--porcelain"])?.is_empty() { "" } else { "-dirty" };
    Ok(format!("{}{dirty}", semantic(&described)).parse()?)
}

/// `git describe` as a semantic version: the commits since the tag, and the last one's digest as build metadata.
/// `v1.38.0-alpha.1-5-gHASH` is `v1.38.0-alpha.1.5+HASH`, and `v1.37.2-5-gHASH` is `v1.37.2-5+HASH`.
fn semantic(described: &str) -> String {
    let split = described.rsplit_once("-g").and_then(|(rest, hash)| Some((rest.rsplit_once('-')?, hash)));
    match split {
        Some(((tag, commits), hash)) if commits.chars().all(|c| c.is_ascii_digit()) => {
            let separator = if tag.contains('-') { '.' } else { '-' };
            format!("{tag}{separator}{commits}+{hash}")
        }
        _ => described.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_git_describes_becomes_a_version_that_kubeadm_takes() {
        assert_eq!(semantic("v1.37.2"), "v1.37.2");
        assert_eq!(semantic("v1.38.0-alpha.1"), "v1.38.0-alpha.1");
        assert_eq!(semantic("v1.37.2-5-g84c76d1142ea4d"), "v1.37.2-5+84c76d1142ea4d");
        assert_eq!(semantic("v1.38.0-alpha.1-5-g84c76d1142ea4d"), "v1.38.0-alpha.1.5+84c76d1142ea4d");
        for version in ["v1.37.2-5+84c76d1142ea4d-dirty", "v1.37.2-dirty"] {
            version.parse::<Version>().expect(version);
        }
    }

    #[test]
    fn build_output_counts_only_when_it_is_complete_and_younger_than_the_source() {
        let dir = tempfile::tempdir().expect("a directory");
        let source = dir.path().join("cmd/kubeadm/kubeadm.go");
        fs::create_dir_all(source.parent().expect("a parent")).expect("made");
        fs::write(&source, "package main").expect("written");
        for name in PROGRAMS {
            assert!(!is_newer(dir.path(), SystemTime::UNIX_EPOCH), "{name} is missing");
            fs::write(dir.path().join(name), "").expect("written");
        }
        assert!(is_newer(dir.path(), newest_source(dir.path()).expect("read")));
        let later = SystemTime::now() + Duration::from_secs(60);
        fs::File::options().append(true).open(&source).and_then(|file| file.set_modified(later)).expect("edited");
        assert!(!is_newer(dir.path(), newest_source(dir.path()).expect("read")));
    }

    #[test]
    fn a_directory_that_is_no_checkout_is_refused_with_what_is_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        let error = build(&cx, dir.path()).expect_err("none").to_string();
        assert!(error.ends_with("is no checkout of Kubernetes: it has no go.mod"), "{error}");
    }
}
