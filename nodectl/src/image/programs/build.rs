//! Programs to compile by go, with everything decided: modules, packages, flags; and the key of the result.

use std::path::Path;

use crate::image::digest::Key;

/// What a program is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// To be small and fast, and the same wherever it is built.
    Release,
    /// For a debugger: nothing optimised away or inlined, with symbols, and with the paths that the source has here, by
    /// which breakpoints are set.
    Debug,
}

/// Programs to compile by go, with everything decided.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    /// Name of the directory in the cache.
    pub(crate) name: &'static str,
    /// Modules to require, with their versions.
    pub(crate) modules: Vec<(&'static str, String)>,
    /// Each program's name and its package.
    pub(crate) programs: Vec<(&'static str, String)>,
    pub(crate) tags: &'static str,
    pub(super) variables: Vec<String>,
    pub(crate) flavor: Flavor,
}

impl Flavor {
    /// Flags of `go build`, but for the linker's.
    pub(super) fn flags(self) -> &'static [&'static str] {
        match self {
            Flavor::Release => &["-trimpath"],
            Flavor::Debug => &["-gcflags=all=-N -l"],
        }
    }

    /// Flags of the linker: without symbols, unless they are wanted.
    fn stripped(self) -> &'static str {
        match self {
            Flavor::Release => "-s -w",
            Flavor::Debug => "",
        }
    }
}

impl Build {
    /// These of its programs alone; a single one gives it its own name.
    pub(crate) fn only(mut self, names: &[&'static str]) -> Self {
        self.programs.retain(|(program, _)| names.contains(program));
        if let [name] = names {
            self.name = name;
        }
        self
    }

    /// Whether it has programs of Kubernetes' test/images, which change from version to version.
    pub(super) fn has_optional_programs(&self) -> bool {
        self.programs.iter().any(|(_, package)| self.image_dir(package).is_some())
    }

    /// Without those programs of test/images that the source `tree` of Kubernetes lacks.
    pub(super) fn found_in(mut self, tree: &Path) -> Self {
        let missing = |package: &str| self.image_dir(package).is_some_and(|dir| !tree.join(dir).is_dir());
        let programs = self.programs.iter().filter(|(_, package)| !missing(package)).cloned().collect();
        self.programs = programs;
        self
    }

    /// The directory of a package below test/images.
    fn image_dir<'a>(&self, package: &'a str) -> Option<&'a str> {
        package.strip_prefix(self.modules[0].0)?.strip_prefix('/').filter(|dir| dir.starts_with("test/images/"))
    }

    /// The names of its programs.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.programs.iter().map(|(name, _)| *name).collect()
    }

    /// Flags of the linker.
    pub(super) fn ldflags(&self) -> String {
        let variables = self.variables.iter().map(|variable| format!(" -X {variable}"));
        format!("{}{}", self.flavor.stripped(), variables.collect::<String>())
    }

    /// Digest of all that goes into it, with the `toolchain` that does it.
    pub(super) fn key(&self, toolchain: &str) -> String {
        Key::new("go 1")
            .with("toolchain", toolchain)
            .with_all("module", self.modules.iter().map(|(path, version)| format!("{path}@{version}")))
            .with_all("program", self.programs.iter().map(|(name, package)| format!("{name}={package}")))
            .with("tags", self.tags)
            .with("ldflags", self.ldflags())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{E2E, KUBERNETES};
    use super::*;

    fn kubernetes(version: &str) -> Build {
        KUBERNETES.build(version, Flavor::Release)
    }

    #[test]
    fn the_key_changes_with_the_version_and_the_toolchain() {
        let key = kubernetes("v1.37.2").key("go version go1.26.8");
        assert_eq!(key, kubernetes("v1.37.2").key("go version go1.26.8"));
        assert_ne!(key, kubernetes("v1.37.3").key("go version go1.26.8"));
        assert_ne!(key, kubernetes("v1.37.2").key("go version go1.26.9"));
    }

    #[test]
    fn one_program_is_a_build_of_its_own() {
        let one = kubernetes("v1.37.2").only(&["kubelet"]);
        assert_eq!((one.name, one.names()), ("kubelet", vec!["kubelet"]));
        assert_eq!(one.programs[0].1, "k8s.io/kubernetes/cmd/kubelet");
        assert_ne!(one.key("go"), kubernetes("v1.37.2").key("go"));
    }

    #[test]
    fn the_suite_is_what_the_source_has_of_it() {
        let tree = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(tree.path().join("test/images/agnhost")).expect("made");
        let suite = E2E.build("v1.37.2", Flavor::Release).found_in(tree.path());
        assert_eq!(suite.names(), ["kubectl", "e2e.test", "agnhost", "ginkgo", "sample-apiserver"]);
        assert_eq!(suite.modules[1], ("k8s.io/sample-apiserver", "v0.37.2".to_owned()));
    }

    #[test]
    fn a_build_for_a_debugger_keeps_its_symbols_and_is_a_build_of_its_own() {
        let debug = KUBERNETES.build("v1.37.2", Flavor::Debug);
        assert!(debug.ldflags().starts_with(" -X "), "{}", debug.ldflags());
        assert_ne!(debug.key("go"), kubernetes("v1.37.2").key("go"));
    }

    #[test]
    fn both_version_packages_are_set() {
        let flags = kubernetes("v1.37.2").ldflags();
        assert!(flags.starts_with("-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 "), "{flags}");
        assert!(flags.ends_with("-X k8s.io/client-go/pkg/version.gitMinor=37"), "{flags}");
    }
}
