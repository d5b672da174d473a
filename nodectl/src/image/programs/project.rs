//! What a row of the table of projects says, and the build that it becomes at a version.

use super::build::{Build, Flavor};
use super::version::{self, Version};
use super::wanted::{self, Reference, WantedError};
use crate::image::arch::arch;

/// A project of upstream's: programs that are compiled together, or fetched together.
#[derive(Debug)]
pub struct Project {
    /// Its directory in the cache, and its name in messages.
    pub name: &'static str,
    /// What compiles it.
    pub(crate) compiler: Compiler,
    /// Its Go modules, with what decides their versions. The first one's go.mod says which Go language version applies.
    pub modules: &'static [(&'static str, Pin)],
    /// Its programs.
    pub programs: &'static [Row],
    /// Build tags, separated by commas.
    pub(super) tags: &'static str,
    /// String variables to set when linking, by `-X`; see [`Project::filled`] for the braces.
    pub(super) variables: &'static [&'static str],
    /// Where upstream publishes its programs; some it does not, but in images.
    pub release: Option<Release>,
    /// Files of a node that configure it, and their content.
    pub files: &'static [(&'static str, &'static str)],
}

/// A program of a project.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Its package, `./` being the first module; or its C file, in the source of Kubernetes.
    pub(super) package: &'static str,
    /// Its directory in a node, for those that do not run in containers alone.
    pub place: Option<&'static str>,
}

/// What compiles a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// go.
    Go,
    /// cc.
    C,
}

/// What decides a module's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// It is Kubernetes' own.
    Kubernetes,
    /// It is Kubernetes' own, as staging modules have it.
    Staging,
    /// kubeadm: it is in the tag of the image of this name.
    Image(&'static str),
    /// This table.
    At(&'static str),
}

/// Where upstream publishes programs: `SITE/VERSION/FILE`.
#[derive(Debug)]
pub struct Release {
    /// Which of the sites, whose addresses are options.
    pub site: &'static Site,
    /// An archive that has the programs, or with `{program}` a file for each; see [`Project::filled`].
    pub file: &'static str,
    /// What follows the address of the file in that of its SHA-256.
    pub digest: &'static str,
    /// The programs that the archive has, where these are not all of the project's.
    pub only: &'static [&'static str],
}

/// A site with releases: an option of every build.
#[derive(Debug)]
pub struct Site {
    /// Its option.
    pub option: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Its address, unless they say another.
    pub url: &'static str,
    /// What the option says for help.
    pub help: &'static str,
}

impl Project {
    /// The names of its programs.
    pub fn names(&self) -> Vec<&'static str> {
        self.programs.iter().map(|row| row.name).collect()
    }

    /// Of its programs, those that a node has.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.programs.iter().filter_map(|row| Some((row.name, row.place?)))
    }

    /// Whether its version is Kubernetes'.
    pub(crate) fn is_of_kubernetes(&self) -> bool {
        matches!(self.modules, [(_, Pin::Kubernetes), ..])
    }

    /// Its version beside that of Kubernetes, with what kubeadm `wants`.
    pub(crate) fn version(&self, kubernetes: &Version, wanted: &[Reference]) -> Result<String, WantedError> {
        Ok(match self.modules[0].1 {
            Pin::Kubernetes | Pin::Staging => kubernetes.to_string(),
            Pin::Image(name) => wanted::version(&wanted::find(wanted, name)?.tag),
            Pin::At(version) => version.to_owned(),
        })
    }

    /// The build of it at its own `version`.
    pub(crate) fn build(&self, version: &str, flavor: Flavor) -> Build {
        let module = |&(path, pin): &(&'static str, Pin)| match pin {
            Pin::Staging => (path, version::of_staging_modules(version).unwrap_or_else(|| version.to_owned())),
            Pin::Kubernetes | Pin::Image(_) | Pin::At(_) => (path, version.to_owned()),
        };
        Build {
            name: self.name,
            modules: self.modules.iter().map(module).collect(),
            programs: self.programs.iter().map(|row| (row.name, self.package(row))).collect(),
            tags: self.tags,
            variables: self.variables.iter().map(|variable| self.filled(variable, version)).collect(),
            flavor,
        }
    }

    fn package(&self, row: &Row) -> String {
        match row.package.strip_prefix("./") {
            Some(below) => format!("{}/{below}", self.modules[0].0),
            None => row.package.to_owned(),
        }
    }

    /// A text of the table, with the values of what stands in braces: its first `module`, its `version`, the same as a
    /// `number` without the v, its first two numbers as `major` and `minor`, and this machine's `arch`.
    pub fn filled(&self, text: &str, version: &str) -> String {
        let numbers = version.parse::<Version>();
        let (major, minor) = numbers.map_or((0, 0), |version| (version.major(), version.minor()));
        text.replace("{module}", self.modules[0].0)
            .replace("{version}", version)
            .replace("{number}", version.trim_start_matches('v'))
            .replace("{major}", &major.to_string())
            .replace("{minor}", &minor.to_string())
            .replace("{arch}", arch())
    }
}

impl Release {
    /// Whether each program is a file of its own.
    pub fn has_single_files(&self) -> bool {
        self.file.contains("{program}")
    }

    /// The programs of `project` that it has.
    pub fn names(&self, project: &Project) -> Vec<&'static str> {
        if self.only.is_empty() { project.names() } else { self.only.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::project;
    use super::*;

    #[test]
    fn a_version_is_kubernetes_own_or_kubeadms_or_the_tables() {
        let kubernetes: Version = "v1.37.2".parse().expect("a version");
        let wanted = wanted::parse("registry.k8s.io/etcd:3.7.0-0\n").expect("a list");
        let version = |name| project(name).version(&kubernetes, &wanted).expect(name);
        assert_eq!(version("kubernetes"), "v1.37.2");
        assert_eq!(version("etcd"), "v3.7.0");
        assert_eq!(version("delve"), "v1.27.2");
        assert!(project("coredns").version(&kubernetes, &wanted).is_err());
    }
}
