//! Debian trees, installed by mmdebstrap, before anything of ours is added: a node's operating system, and what container
//! images have programs of.

use std::path::PathBuf;
use std::process::Command;

use foundation::files::{self, FileError};
use nix::sys::signal::Signal;

use super::os::{Os, Suite};
use super::updates;
use crate::image::arch::arch;
use crate::image::child::{self, ChildError};
use crate::image::context::Context;
use crate::image::digest::Key;
use crate::image::programs::mirrors::Mirrors;
use crate::image::tools::{self, ToolsError};

/// Stands for the directory in mmdebstrap's arguments.
const TARGET: &str = "TARGET";

/// MiB that an installation needs, with the packages that it is made from.
const SPACE: u64 = 1024;

/// A Debian tree.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// Its root directory. It never changes: its files are linked into images.
    pub(crate) tree: PathBuf,
    /// What it was asked to be, and the dates of the archives that it is from.
    pub(crate) key: String,
}

/// Debian could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// mmdebstrap failed.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The disk is full.
    #[error(transparent)]
    Space(#[from] ToolsError),
    /// The tree could not be moved to the cache.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A tree of `os` with these packages beside its essential ones, from the archives as they are now; installed unless the
/// cache has it. If the archives cannot be reached, the newest tree in the cache serves.
pub(crate) fn current(cx: &Context, mirrors: &Mirrors, os: &Os, packages: &[&str]) -> Result<Base, BaseError> {
    let suites = os.suites(mirrors.debian_mirror.as_deref());
    let arguments = arguments(os, packages, &suites);
    let asked = asked(&arguments);
    let newest = newest(cx, &asked)?;
    let dates = updates::dates(cx, &suites, mirrors.debian_updates, newest.is_some())?;
    let key = match (dates, &newest) {
        (Some(dates), _) => format!("{asked}-{dates}"),
        (None, Some(newest)) => newest.clone(),
        (None, None) => format!("{asked}-0"),
    };
    if cx.dirs.cache().join("base").join(&key).is_dir() {
        return Ok(cached(cx, key));
    }
    match (install(cx, os, &arguments, &key), newest) {
        (Err(BaseError::Child(ChildError::Interrupted)), _) => Err(ChildError::Interrupted.into()),
        (Err(error), Some(newest)) => {
            let error = foundation::error_chain(&error);
            eprintln!("build: cannot update {}: using the newest one in the cache: {error}", os.name);
            Ok(cached(cx, newest))
        }
        (installed, _) => installed.map(|()| cached(cx, key)),
    }
}

/// The same from archives of any date, for uses that an update of Debian makes no difference to: the newest tree in the
/// cache, if there is one.
pub(crate) fn any(cx: &Context, mirrors: &Mirrors, os: &Os, packages: &[&str]) -> Result<Base, BaseError> {
    let suites = os.suites(mirrors.debian_mirror.as_deref());
    match newest(cx, &asked(&arguments(os, packages, &suites)))? {
        Some(newest) => Ok(cached(cx, newest)),
        None => current(cx, mirrors, os, packages),
    }
}

fn asked(arguments: &[String]) -> String {
    Key::new("base 2").with("arch", arch()).with_all("argument", arguments).finish()
}

fn cached(cx: &Context, key: String) -> Base {
    Base { tree: cx.cached("base", &key), key }
}

fn install(cx: &Context, os: &Os, arguments: &[String], key: &str) -> Result<(), BaseError> {
    tools::space(cx.dirs.root(), SPACE)?;
    cx.progress.stage(&format!("install {} {} (mmdebstrap)", os.name, os.release), |stage| {
        let half = cx.building.join("base");
        // mmdebstrap waits for its children when it is told to end, and leaves them behind when it is killed: in a PID
        // namespace they end with it (pid_namespaces(7)).
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "mmdebstrap"]);
        for argument in arguments {
            if argument == TARGET {
                unshare.arg(&half)
            } else {
                unshare.arg(argument)
            };
        }
        unshare.env("LC_ALL", "C.UTF-8");
        child::run(child::contain(&mut unshare, Signal::SIGKILL), &cx.log("base"), stage)?;
        Ok(cx.keep(&half, &cx.dirs.cache().join("base").join(key))?)
    })
}

/// The key of the newest tree in the cache that was `asked` for: dates are in seconds since 1970.
fn newest(cx: &Context, asked: &str) -> Result<Option<String>, FileError> {
    let date = |key: &String| key.split('-').skip(1).filter_map(|date| date.parse::<u64>().ok()).max();
    let mut keys = files::names_in(&cx.dirs.cache().join("base"))?;
    keys.retain(|key| key.split('-').next() == Some(asked));
    Ok(keys.into_iter().max_by_key(date))
}

fn arguments(os: &Os, packages: &[&str], suites: &[Suite<String>]) -> Vec<String> {
    let mut arguments =
        vec!["--mode=root".to_owned(), "--variant=essential".to_owned(), "--format=directory".to_owned()];
    arguments.push(format!("--keyring={}", os.keyring.0));
    arguments.push(format!("--include={}", packages.join(",")));
    arguments.extend(os.excluded.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
    // No service may start while it is installed; no host key may be made that all nodes would share.
    arguments.push("--essential-hook=mkdir -p \"$1/etc/ssh\" && touch \"$1/etc/ssh/sshd_not_to_be_run\"".to_owned());
    arguments.push("--customize-hook=rm -f \"$1\"/etc/ssh/ssh_host_* \"$1/etc/ssh/sshd_not_to_be_run\"".to_owned());
    arguments.extend([os.release.to_owned(), TARGET.to_owned()]);
    arguments.extend(suites.iter().map(Suite::line));
    arguments
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::os::NODE;
    use super::*;

    #[test]
    fn a_mirror_is_the_only_source() {
        let arguments = |mirror| super::arguments(&NODE, NODE.packages, &NODE.suites(mirror));
        let with_mirror = arguments(Some("http://mirror.example/debian"));
        assert_eq!(
            with_mirror[with_mirror.len() - 3..],
            ["trixie", TARGET, "deb http://mirror.example/debian trixie main"]
        );
        let without = arguments(None);
        assert_eq!(
            without.last().expect("some"),
            "deb http://security.debian.org/debian-security trixie-security main"
        );
    }

    #[test]
    fn the_newest_tree_is_the_one_with_the_latest_date_of_any_archive() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        assert_eq!(newest(&cx, "ab").expect("listed"), None);
        for key in ["ab-100-90", "ab-100-1000", "ab-0", "cd-2000-2000"] {
            fs::create_dir_all(cx.dirs.cache().join("base").join(key)).expect("made");
        }
        assert_eq!(newest(&cx, "ab").expect("listed").as_deref(), Some("ab-100-1000"));
    }
}
