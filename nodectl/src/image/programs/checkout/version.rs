//! Which version of Kubernetes a checkout is of.

use std::fs;
use std::path::Path;
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use walkdir::WalkDir;

use super::{CheckoutError, MODULE, MODULES, Version};

/// The version of `tree` as upstream's own build finds it (hack/lib/version.sh), KUBE_GIT_VERSION before all; of a
/// vendored one, the module's.
pub(super) fn of(tree: &Path, vendored: Option<&Version>) -> Result<Version, CheckoutError> {
    if let Ok(version) = std::env::var("KUBE_GIT_VERSION") {
        return Ok(version.parse()?);
    }
    let (clean, is_dirty) = match vendored {
        Some(version) => (version.to_string(), is_vendored_tree_dirty(tree)?),
        None => described(tree)?,
    };
    Ok(format!("{clean}{}", if is_dirty { "-dirty" } else { "" }).parse()?)
}

/// What vendor/modules.txt says of Kubernetes: `# k8s.io/kubernetes v1.37.2`, perhaps with ` => REPLACEMENT`.
pub(super) fn vendored(list: &Path) -> Result<Version, CheckoutError> {
    let text = fs::read_to_string(list).map_err(FileError::of("read", list))?;
    let of_kubernetes = |line: &str| {
        let mut words = line.strip_prefix("# ")?.split(' ').map(str::to_owned);
        if words.next()? == MODULE { words.next() } else { None }
    };
    let version = text.lines().find_map(of_kubernetes);
    Ok(version.ok_or_else(|| CheckoutError::NoModule { path: list.to_owned() })?.parse()?)
}

/// The version that a program prints: `Kubernetes v1.37.2`; kubectl and kubeadm have a verb for it, and print more.
pub(super) fn spoken(program: &Path) -> Result<Version, CheckoutError> {
    let arguments: &[&str] = match program.file_name().and_then(|name| name.to_str()) {
        Some("kubeadm") => &["version"],
        // Else it asks an API server for its version, too.
        Some("kubectl") => &["version", "--client"],
        _ => &["--version"],
    };
    let output = command::output(Command::new(program).args(arguments))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split([' ', '"', '\n']).find(|word| word.starts_with("v1.")).unwrap_or(text.trim()).parse()?)
}

/// What git knows: the version, and whether anything was changed since.
fn described(tree: &Path) -> Result<(String, bool), CheckoutError> {
    let git = |arguments: &[&str]| {
        let output = command::output(Command::new("git").arg("-C").arg(tree).args(arguments))?;
        Ok::<_, CommandError>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let described = git(&["describe", "--tags", "--match=v*", "--abbrev=14"])
        .map_err(|source| CheckoutError::NoVersion { path: tree.to_owned(), source })?;
    Ok((semantic(&described), !git(&["status", "--porcelain"])?.is_empty()))
}

/// Whether the vendored Kubernetes was changed after it was vendored. git knows; without git, a file that is newer than
/// the list shows it, for `go mod vendor` writes its list last.
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
    use std::time::{Duration, SystemTime};

    use super::super::{Checkout, VENDORED};
    use super::*;

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
