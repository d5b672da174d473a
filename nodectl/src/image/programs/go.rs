//! Build programs from Go modules, by a go.mod of our own that requires them: nothing is checked out, and the
//! module proxy and checksum database that the user has configured apply.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::{self, FileError};
use nix::sys::signal::Signal;
use serde::Deserialize;

use super::build::Build;
use super::program::{self, Programs};
use super::version;
use crate::image::child::{self, ChildError};
use crate::image::context::Context;
use crate::image::progress::Stage;
use crate::image::tools::{self, ToolsError};

/// MiB that a build needs in Go's caches and ours.
const SPACE: u64 = 4096;

/// A Go build failed.
#[derive(Debug, thiserror::Error)]
pub enum GoError {
    /// Go could not be asked.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Compiling failed.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// go printed something unexpected.
    #[error("cannot understand what `{command}` printed")]
    Json {
        /// The command.
        command: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A module could not be fetched.
    #[error("cannot fetch the Go module {module}: {why}")]
    Module {
        /// The module and version.
        module: String,
        /// What go says.
        why: String,
    },
    /// The disk is full.
    #[error(transparent)]
    Space(#[from] ToolsError),
    /// A file of the build could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Variables of go's environment that make other programs of the same source (`go help environment`). GOFLAGS is the
/// user's: our own flags are arguments.
const COMPILING: [&str; 7] = ["GOFLAGS", "GOEXPERIMENT", "GOAMD64", "GOARM64", "GOFIPS140", "GOOS", "GOARCH"];

/// This machine's Go.
pub(super) struct Toolchain {
    /// What `go version` prints, and the variables that are not at their defaults.
    version: String,
}

/// What `go mod download -json` prints, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Download {
    #[serde(default)]
    error: String,
    #[serde(default)]
    dir: PathBuf,
    #[serde(default)]
    go_mod: PathBuf,
}

/// What `go mod edit -json` prints, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoMod {
    #[serde(default)]
    go: String,
    #[serde(default)]
    require: Vec<Require>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Require {
    path: String,
    version: String,
}

impl Toolchain {
    /// Ask go for its version.
    pub(super) fn find() -> Result<Self, GoError> {
        // Not below a go.mod, which might switch toolchains.
        let ask = |words: &[&str]| command::output(Command::new("go").args(words).current_dir("/"));
        let version = String::from_utf8_lossy(&ask(&["version"])?.stdout).trim().to_owned();
        let changed = ask(&[&["env", "-changed"], &COMPILING[..]].concat())?;
        Ok(Toolchain { version: version + &String::from_utf8_lossy(&changed.stdout) })
    }

    /// Whether [`Toolchain::build`] has nothing to do.
    pub(super) fn has(&self, cx: &Context, build: &Build) -> bool {
        cx.cached("bin", &format!("{}/{}", build.name, build.key(&self.version))).is_dir()
    }

    /// The programs of `build`, compiled unless the cache has them.
    pub(super) fn build(&self, cx: &Context, build: &Build) -> Result<Programs, GoError> {
        let key = build.key(&self.version);
        let done = cx.cached("bin", &format!("{}/{key}", build.name));
        if !done.is_dir() {
            let what = format!("compile {} {} (go)", build.name, build.modules[0].1);
            cx.progress.stage(&what, |stage| {
                let cache = command::output(Command::new("go").args(["env", "GOCACHE"]).current_dir("/"))?;
                tools::space(Path::new(String::from_utf8_lossy(&cache.stdout).trim()), SPACE)?;
                let built = compile(cx, build, stage)?;
                cx.keep(&built, &done)?;
                Ok::<_, GoError>(())
            })?;
        }
        Ok(program::in_dir(&build.names(), &done, &key))
    }
}

fn compile(cx: &Context, build: &Build, stage: &Stage) -> Result<PathBuf, GoError> {
    let work = cx.building.join("go").join(build.name);
    let bin = work.join("bin");
    fs::create_dir_all(&bin).map_err(FileError::of("create", &bin))?;
    let (path, version) = &build.modules[0];
    let upstream = read_go_mod(&download(&work, path, version)?.go_mod)?;
    files::write_durably(&work.join("go.mod"), go_mod(build, &upstream), 0o644)?;
    // -mod=mod fills in go.mod and go.sum. As an argument it leaves the user's GOFLAGS alone.
    let flags = ["-mod=mod", "-tags", build.tags];
    for mut go in commands(build, &flags, &bin) {
        go.current_dir(&work);
        child::run(child::contain(&mut go, Signal::SIGTERM), &cx.log(build.name), stage)?;
    }
    for (name, package) in build.programs.iter().filter(|(name, _)| !is_test(name)) {
        let (from, to) = (bin.join(default_name(package)), bin.join(name));
        fs::rename(&from, &to).map_err(FileError::of("rename", &from))?;
    }
    Ok(bin)
}

/// The directory with the source of Kubernetes' module, fetched unless go has it.
pub(super) fn source(cx: &Context, version: &str) -> Result<PathBuf, GoError> {
    let work = cx.building.join("go");
    fs::create_dir_all(&work).map_err(FileError::of("create", &work))?;
    Ok(download(&work, version::MODULE, version)?.dir)
}

/// The commands that compile `build` into `bin`. go names programs by their packages, and those of tests `*.test`.
pub(super) fn commands(build: &Build, flags: &[&str], bin: &Path) -> Vec<Command> {
    let (tests, programs): (Vec<_>, Vec<_>) = build.programs.iter().partition(|(name, _)| is_test(name));
    let mut out = OsString::from(bin);
    out.push("/");
    let all = [(&["build", "-v"][..], programs), (&["test", "-c", "-vet=off"][..], tests)];
    let command = |(verb, packages): (&[&str], Vec<&(&str, String)>)| {
        let mut go = Command::new("go");
        go.args(verb).args(build.flavor.flags()).args(flags).args(["-ldflags", &build.ldflags()]);
        go.arg("-o").arg(&out).args(packages.iter().map(|(_, package)| package)).env("CGO_ENABLED", "0");
        go
    };
    all.into_iter().filter(|(_, packages)| !packages.is_empty()).map(command).collect()
}

fn is_test(name: &str) -> bool {
    name.ends_with(".test")
}

fn download(work: &Path, path: &str, version: &str) -> Result<Download, GoError> {
    let module = format!("{path}@{version}");
    let mut go = Command::new("go");
    let go = command::end_with_us(go.args(["mod", "download", "-json", &module]).current_dir(work), Signal::SIGKILL);
    let output = go.output().map_err(command::not_started(go))?;
    // It reports a failure as JSON too, unless it has not even begun.
    let Ok(download) = serde_json::from_slice::<Download>(&output.stdout) else {
        command::checked(go, output)?;
        return Err(GoError::Module { module, why: "`go mod download -json` printed no JSON".to_owned() });
    };
    if download.error.is_empty() { Ok(download) } else { Err(GoError::Module { module, why: download.error }) }
}

fn read_go_mod(path: &Path) -> Result<GoMod, GoError> {
    let output = command::output(Command::new("go").args(["mod", "edit", "-json"]).arg(path).current_dir("/"))?;
    serde_json::from_slice(&output.stdout).map_err(|source| GoError::Json { command: "go mod edit -json", source })
}

/// The go.mod that requires the modules of `build`. Kubernetes replaces its staging modules, which counts in its own go.mod
/// only: what it requires at v0.0.0 has been published as v0.MINOR.PATCH.
fn go_mod(build: &Build, upstream: &GoMod) -> String {
    let mut text = format!("module build\n\ngo {}\n\n", upstream.go);
    for (path, version) in &build.modules {
        text += &format!("require {path} {version}\n");
    }
    let (path, version) = &build.modules[0];
    if *path == version::MODULE
        && let Some(published) = version::of_staging_modules(version)
    {
        let staging = upstream.require.iter().filter(|r| r.path.starts_with("k8s.io/") && r.version == "v0.0.0");
        for require in staging {
            text += &format!("require {} {published}\n", require.path);
        }
    }
    text
}

/// The name that `go build` gives a program: the last element of its package that is not a major version.
fn default_name(package: &str) -> &str {
    let is_major = |part: &str| part.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
    package.rsplit('/').find(|part| !is_major(part)).unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::super::build::Flavor;
    use super::super::catalog::project;
    use super::*;

    #[test]
    fn staging_modules_are_required_at_the_version_that_they_are_published_as() {
        let require = |path: &str, version: &str| Require { path: path.to_owned(), version: version.to_owned() };
        let upstream = GoMod {
            go: "1.26.0".to_owned(),
            require: vec![
                require("k8s.io/api", "v0.0.0"),
                require("k8s.io/klog/v2", "v2.140.0"),
                require("example.org/x", "v0.0.0"),
            ],
        };
        assert_eq!(
            go_mod(&project("kubernetes").build("v1.37.2", Flavor::Release), &upstream),
            "module build\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes v1.37.2\nrequire k8s.io/api v0.37.2\n"
        );
        assert!(!go_mod(&project("etcd").build("v3.7.0", Flavor::Release), &upstream).contains("k8s.io"));
    }

    #[test]
    fn programs_are_named_as_go_names_them() {
        assert_eq!(default_name("go.etcd.io/etcd/server/v3"), "server");
        assert_eq!(default_name("github.com/containerd/containerd/v2/cmd/ctr"), "ctr");
        assert_eq!(default_name("k8s.io/kubernetes/cmd/kubeadm"), "kubeadm");
    }
}
