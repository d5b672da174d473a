//! Kubernetes from a checkout: its own build output where that is up to date, else built in it by `go build`, whose
//! cache makes a small change a matter of seconds. Or from a module of the user's own that has Kubernetes below
//! vendor/, as `go mod vendor` puts it there.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use walkdir::WalkDir;

use super::child::{self, ChildError};
use super::component::{Component, Flavor, KUBERNETES};
use super::go;
use super::kept;
use super::source::{SourceError, Version};
use super::{Context, Programs, arch};
use crate::command::{self, CommandError};
use crate::files::FileError;

/// Where the source of the programs is, in a checkout and in a module that vendors them.
const SOURCES: [&str; 6] = ["cmd", "pkg", "plugin", "staging/src", "third_party", "vendor"];

/// What decides of which modules programs are made: beside them.
pub const MODULE_FILES: [&str; 4] = ["go.mod", "go.sum", "go.work", "go.work.sum"];

/// What `go mod vendor` lays out: the modules with their versions, and Kubernetes.
const MODULES: &str = "vendor/modules.txt";
const VENDORED: &str = "vendor/k8s.io/kubernetes";

/// Why a checkout is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// It is none.
    #[error("{} is no checkout of Kubernetes: it has no {missing}, and no {VENDORED} of `go mod vendor`", path.display())]
    NotOne {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// Another module is vendored in place of Kubernetes'.
    #[error("{} does not say which version of {KUBERNETES} is vendored; run `go mod vendor`", path.display())]
    NoModule {
        /// The list of modules.
        path: PathBuf,
    },
    /// Nobody says which version it is.
    #[error(
        "cannot tell the version of {} by its newest tag v*; fetch tags, or set KUBE_GIT_VERSION",
        path.display()
    )]
    NoVersion {
        /// The directory.
        path: PathBuf,
        /// What git says.
        source: CommandError,
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

/// A tree with Kubernetes' source.
pub struct Checkout {
    path: PathBuf,
    /// The module's version, where it is vendored.
    vendored: Option<Version>,
}

impl Checkout {
    /// The tree at `path`.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(path: &Path) -> Result<Self, CheckoutError> {
        let path = path.canonicalize().map_err(FileError::of("find", path))?;
        if path.join(VENDORED).is_dir() {
            let vendored = Some(vendored_version(&path.join(MODULES))?);
            return Ok(Checkout { path, vendored });
        }
        for missing in ["go.mod", "cmd/kubeadm", "build/pause/linux/pause.c"] {
            if !path.join(missing).exists() {
                return Err(CheckoutError::NotOne { path, missing });
            }
        }
        Ok(Checkout { path, vendored: None })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directories with the source of its programs.
    pub fn sources(&self) -> impl Iterator<Item = PathBuf> {
        SOURCES.iter().map(|dir| self.path.join(dir)).filter(|dir| dir.is_dir())
    }

    /// The version of Kubernetes' module that is vendored; what is no Go package (pause) is left out there.
    pub fn vendored(&self) -> Option<&Version> {
        self.vendored.as_ref()
    }

    /// The programs `names`, copied to the cache under the digest of their content, and their version.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn build(
        &self,
        cx: &Context,
        names: &[&'static str],
        flavor: Flavor,
    ) -> Result<(Version, Programs), CheckoutError> {
        let made = self.path.join("_output/local/bin/linux").join(arch());
        // What is there has most likely been optimised.
        if flavor == Flavor::Release && is_up_to_date(&made, &self.path, names) {
            eprintln!("build: using the programs in {}", made.display());
            return Ok((version_of(&made.join(names[0]))?, keep(cx, &made, names)?));
        }
        let version = self.version()?;
        let out = self.compile(cx, &version, names, flavor)?;
        Ok((version, keep(cx, &out, names)?))
    }

    /// What `suite` says of its version, which is end-to-end tests: compiled here.
    ///
    /// # Errors
    /// When they do not compile.
    pub fn build_suite(
        &self,
        cx: &Context,
        suite: impl FnOnce(&Version) -> Component,
    ) -> Result<(Version, Programs), CheckoutError> {
        let version = self.version()?;
        let suite = suite(&version);
        let out = kept::working_dir(cx, &self.path).join(suite.name);
        fs::create_dir_all(&out).map_err(FileError::of("create", &out))?;
        cx.progress.stage(&format!("compile {} {version} in {} (go)", suite.name, self.path.display()), |stage| {
            go::commands(&suite, &["-buildvcs=false"], &out).iter_mut().try_for_each(|go| {
                let go = go.env("GOTMPDIR", &cx.building).current_dir(&self.path);
                child::run(child::contain(go, Signal::SIGTERM), &cx.log("checkout"), stage)
            })
        })?;
        // By the names that go gives them, which are those of `suite`.
        let names: Vec<_> = suite.programs.iter().map(|(name, _)| *name).collect();
        Ok((version, keep(cx, &out, &names)?))
    }

    /// Compile in the tree. The programs stay where they are, so that go links only what has changed. It links in
    /// GOTMPDIR, and renames from there; from another file system it would copy, and take half of a program, which a
    /// build that was killed has left, for a whole one: it looks at the beginning.
    fn compile(
        &self,
        cx: &Context,
        version: &Version,
        names: &[&str],
        flavor: Flavor,
    ) -> Result<PathBuf, CheckoutError> {
        let out = kept::working_dir(cx, &self.path).join(if flavor == Flavor::Debug { "debug" } else { "bin" });
        fs::create_dir_all(&out).map_err(FileError::of("create", &out))?;
        let mut go = Command::new("go");
        go.args(["build", "-v", "-buildvcs=false"]).args(flavor.flags());
        go.args(["-ldflags", &Component::kubernetes(version).compiled_for(flavor).ldflags()]);
        go.arg("-o").arg(&out);
        // By their import paths, which are the same in both kinds of tree.
        go.args(names.iter().map(|name| format!("{KUBERNETES}/cmd/{name}")));
        go.env("CGO_ENABLED", "0").env("GOTMPDIR", &cx.building).current_dir(&self.path);
        let what = if let [name] = names { name } else { "kubernetes" };
        cx.progress.stage(&format!("compile {what} {version} in {} (go)", self.path.display()), |stage| {
            child::run(child::contain(&mut go, Signal::SIGTERM), &cx.log("checkout"), stage)
        })?;
        Ok(out)
    }

    /// The version as upstream's own build finds it (hack/lib/version.sh), KUBE_GIT_VERSION before all; of a vendored
    /// tree, the module's.
    fn version(&self) -> Result<Version, CheckoutError> {
        if let Ok(version) = std::env::var("KUBE_GIT_VERSION") {
            return Ok(version.parse()?);
        }
        let (clean, is_dirty) = match &self.vendored {
            Some(version) => (version.to_string(), is_vendored_tree_dirty(&self.path)?),
            None => self.described()?,
        };
        Ok(format!("{clean}{}", if is_dirty { "-dirty" } else { "" }).parse()?)
    }

    /// What git says: the version, and whether something has been changed since.
    fn described(&self) -> Result<(String, bool), CheckoutError> {
        let git = |arguments: &[&str]| {
            let output = command::output(Command::new("git").arg("-C").arg(&self.path).args(arguments))?;
            Ok::<_, CommandError>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let described = git(&["describe", "--tags", "--match=v*", "--abbrev=14"])
            .map_err(|source| CheckoutError::NoVersion { path: self.path.clone(), source })?;
        Ok((semantic(&described), !git(&["status", "--porcelain"])?.is_empty()))
    }
}

/// The line of Kubernetes in vendor/modules.txt: `# k8s.io/kubernetes v1.37.2`, perhaps with ` => REPLACEMENT`.
fn vendored_version(list: &Path) -> Result<Version, CheckoutError> {
    let text = fs::read_to_string(list).map_err(FileError::of("read", list))?;
    let of_kubernetes = |line: &str| {
        let mut words = line.strip_prefix("# ")?.split(' ').map(str::to_owned);
        if words.next()? == KUBERNETES { words.next() } else { None }
    };
    let version = text.lines().find_map(of_kubernetes);
    Ok(version.ok_or_else(|| CheckoutError::NoModule { path: list.to_owned() })?.parse()?)
}

/// Copies of the programs in `dir`.
fn keep(cx: &Context, dir: &Path, names: &[&'static str]) -> Result<Programs, FileError> {
    let programs: Vec<_> = names.iter().map(|name| (*name, dir.join(name))).collect();
    kept::keep(cx, dir, &programs)
}

/// When the source was last changed: its files, whatever they are, for some are embedded; and its directories, of which
/// files are removed. By the time of the inode's last change, too: what was copied may say that it is older.
fn newest_source(path: &Path) -> SystemTime {
    let trees = SOURCES.iter().flat_map(|dir| WalkDir::new(path.join(dir)));
    let modules = MODULE_FILES.iter().flat_map(|file| WalkDir::new(path.join(file)));
    // What is not there, or no longer, has not been changed.
    let changed = trees.chain(modules).flatten().filter_map(|entry| changed(&entry.metadata().ok()?));
    changed.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn changed(metadata: &Metadata) -> Option<SystemTime> {
    let (seconds, nanoseconds) = (metadata.ctime().try_into().ok()?, metadata.ctime_nsec().try_into().ok()?);
    let inode = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    Some(metadata.modified().ok()?.max(inode))
}

/// Whether the vendored Kubernetes was changed after it was vendored. Git knows; where there is none, `go mod vendor`
/// has written its list last.
fn is_vendored_tree_dirty(path: &Path) -> Result<bool, CheckoutError> {
    let git = |arguments: &[&str]| command::output(Command::new("git").arg("-C").arg(path).args(arguments));
    if git(&["ls-files", "--error-unmatch", MODULES]).is_ok() {
        return Ok(!git(&["status", "--porcelain", "--", "vendor"])?.stdout.is_empty());
    }
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let list = path.join(MODULES);
    let listed = modified(&list).map_err(FileError::of("read", &list))?;
    let mut files = WalkDir::new(path.join("vendor/k8s.io")).into_iter().flatten();
    Ok(files.any(|entry| entry.file_type().is_file() && modified(entry.path()).is_ok_and(|file| file > listed)))
}

/// Whether `dir` holds all of these programs, each younger than the source of the tree.
fn is_up_to_date(dir: &Path, tree: &Path, names: &[&str]) -> bool {
    let modified = |name: &&str| fs::metadata(dir.join(name)).and_then(|metadata| metadata.modified());
    let programs: Result<Vec<_>, _> = names.iter().map(modified).collect();
    // The tree is looked at only then: it has many thousands of files.
    programs.is_ok_and(|programs| programs.into_iter().min() >= Some(newest_source(tree)))
}

/// What a program says: `Kubernetes v1.37.2`, and kubectl and kubeadm on a line of more words.
fn version_of(program: &Path) -> Result<Version, CheckoutError> {
    let is_command = program.ends_with("kubeadm") || program.ends_with("kubectl");
    let arguments: &[&str] = if is_command { &["version"] } else { &["--version"] };
    let output = command::output(Command::new(program).args(arguments))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split([' ', '"', '\n']).find(|word| word.starts_with("v1.")).unwrap_or(text.trim()).parse()?)
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
    use std::thread;

    use super::*;
    use crate::build::PROGRAMS;

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
            assert!(!is_up_to_date(dir.path(), dir.path(), &PROGRAMS), "{name} is missing");
            fs::write(dir.path().join(name), "").expect("written");
        }
        assert!(is_up_to_date(dir.path(), dir.path(), &PROGRAMS));
        // The programs are older than what happens to the source from now on.
        let age = |time| {
            for name in PROGRAMS {
                let file = fs::File::options().append(true).open(dir.path().join(name));
                file.and_then(|file| file.set_modified(time)).expect("set");
            }
        };
        let edit: fn(&Path) = |source| {
            let file = fs::File::options().append(true).open(source).expect("there");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("set");
        };
        let remove: fn(&Path) = |source| fs::remove_file(source).expect("removed");
        let require: fn(&Path) = |source| {
            fs::write(source.ancestors().nth(3).expect("the tree").join("go.mod"), "").expect("written");
        };
        for (what, change) in [
            ("an edit that says that it is old", edit),
            ("a file that is removed", remove),
            ("another version of a module", require),
        ] {
            age(SystemTime::now() + Duration::from_secs(60));
            assert!(is_up_to_date(dir.path(), dir.path(), &PROGRAMS));
            age(SystemTime::now());
            thread::sleep(Duration::from_millis(20));
            change(&source);
            assert!(!is_up_to_date(dir.path(), dir.path(), &PROGRAMS), "{what}");
        }
    }

    #[test]
    fn a_directory_that_is_no_checkout_is_refused_with_what_is_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = Checkout::open(dir.path()).err().expect("none").to_string();
        assert!(error.contains("is no checkout of Kubernetes: it has no go.mod, and no vendor/"), "{error}");
    }

    #[test]
    fn a_vendored_tree_has_its_modules_version_and_is_dirty_once_it_is_edited() {
        let dir = tempfile::tempdir().expect("a directory");
        let source = dir.path().join(VENDORED).join("cmd/kubeadm/kubeadm.go");
        fs::create_dir_all(source.parent().expect("a parent")).expect("made");
        fs::write(&source, "package main").expect("written");
        let error = |text: &str| {
            fs::write(dir.path().join(MODULES), text).expect("written");
            Checkout::open(dir.path()).err().expect("none").to_string()
        };
        assert!(error("# k8s.io/kubernetes-not v1.0.0\n").contains("run `go mod vendor`"));
        let list = "# github.com/x/y v0.1.0\n# k8s.io/kubernetes v1.37.2 => ../mine\n## explicit; go 1.26.0\n";
        fs::write(dir.path().join(MODULES), list).expect("written");
        let version = || Checkout::open(dir.path()).and_then(|checkout| checkout.version()).expect("one").to_string();
        assert_eq!(version(), "v1.37.2");
        let later = SystemTime::now() + Duration::from_secs(60);
        fs::File::options().append(true).open(&source).and_then(|file| file.set_modified(later)).expect("edited");
        assert_eq!(version(), "v1.37.2-dirty");
    }
}
