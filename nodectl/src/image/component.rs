//! What is built from Go modules: which module, which packages of it, and how their versions get into them.

use std::path::Path;

use super::digest::Key;
use super::source::Version;

/// Versions of what is not part of Kubernetes and not named by kubeadm. CNI plugins and containerd as upstream
/// releases them together with containerd 2.4.
pub const CONTAINERD: &str = "v2.4.2";
/// Version of delve, which debugs what Go compiles.
pub const DELVE: &str = "v1.27.2";
/// Version of the CNI plugins.
pub const CNI_PLUGINS: &str = "v1.9.1";

/// Programs that are built together from one module.
#[derive(Clone, Debug)]
pub struct Component {
    /// Name of the directory in the cache.
    pub name: &'static str,
    /// Modules to require, with their versions; the first one's go.mod says which Go language version applies.
    pub modules: Vec<(String, String)>,
    /// Each program's name and its package.
    pub programs: Vec<(&'static str, String)>,
    /// Build tags, separated by commas.
    pub tags: &'static str,
    /// Variables to set when linking: `-X`.
    pub variables: Vec<String>,
    /// For what.
    pub flavor: Flavor,
}

/// What a program is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// To be small and fast, the same wherever it is built.
    Release,
    /// For a debugger: nothing optimised away or inlined, with symbols, and with the paths of the source as they are
    /// here, by which breakpoints are set.
    Debug,
}

impl Flavor {
    /// Flags of `go build`, but for the linker's.
    pub fn flags(self) -> &'static [&'static str] {
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

impl Component {
    /// Kubernetes' own programs.
    pub fn kubernetes(version: &Version) -> Self {
        Component {
            name: "kubernetes",
            modules: vec![(KUBERNETES.to_owned(), version.to_string())],
            programs: super::PROGRAMS.map(|name| (name, format!("{KUBERNETES}/cmd/{name}"))).into(),
            tags: "",
            variables: version_variables(version),
            flavor: Flavor::Release,
        }
    }

    /// Some of its programs alone; one gives it its own name.
    pub fn only(mut self, names: &[&'static str]) -> Self {
        self.programs.retain(|(program, _)| names.contains(program));
        if let [name] = names {
            self.name = name;
        }
        self
    }

    /// Its end-to-end tests, with what runs them and what their images are made of: as far as the source `tree` has that,
    /// which changes from version to version.
    pub fn suite(version: &Version, tree: &Path) -> Self {
        let minor = version.as_str().trim_start_matches("v1.");
        let images = SUITE_IMAGES.iter().map(|image| (*image, format!("test/images/{image}")));
        let images = images.chain([("consume-cpu", "test/images/resource-consumer/consume-cpu".to_owned())]);
        let there = images.filter(|(_, dir)| tree.join(dir).is_dir());
        let programs = [("kubectl", "cmd/kubectl"), ("e2e.test", "test/e2e")].map(|(name, dir)| (name, dir.to_owned()));
        let own = programs.into_iter().chain(there).map(|(name, dir)| (name, format!("{KUBERNETES}/{dir}")));
        let others = [("ginkgo", GINKGO.to_owned()), ("sample-apiserver", SAMPLE_APISERVER.to_owned())];
        Component {
            name: "e2e",
            modules: vec![
                (KUBERNETES.to_owned(), version.to_string()),
                // Not among what Kubernetes requires.
                (SAMPLE_APISERVER.to_owned(), format!("v0.{minor}")),
            ],
            programs: own.chain(others).collect(),
            tags: "",
            variables: version_variables(version),
            flavor: Flavor::Release,
        }
    }

    /// The same, compiled for something else.
    pub fn compiled_for(mut self, flavor: Flavor) -> Self {
        self.flavor = flavor;
        self
    }

    /// etcd's server and client.
    pub fn etcd(version: &str) -> Self {
        let module = |name| (format!("go.etcd.io/etcd/{name}/v3"), version.to_owned());
        let modules = vec![module("server"), module("etcdctl")];
        let programs = vec![("etcd", modules[0].0.clone()), ("etcdctl", modules[1].0.clone())];
        Component { name: "etcd", modules, programs, tags: "", variables: vec![], flavor: Flavor::Release }
    }

    /// CoreDNS.
    pub fn coredns(version: &str) -> Self {
        let module = "github.com/coredns/coredns".to_owned();
        let programs = vec![("coredns", module.clone())];
        Component {
            name: "coredns",
            modules: vec![(module, version.to_owned())],
            programs,
            tags: "",
            variables: vec![],
            flavor: Flavor::Release,
        }
    }

    /// The debugger.
    pub fn delve() -> Self {
        let module = "github.com/go-delve/delve";
        Component {
            name: "delve",
            modules: vec![(module.to_owned(), DELVE.to_owned())],
            programs: vec![("dlv", format!("{module}/cmd/dlv"))],
            tags: "",
            variables: vec![],
            flavor: Flavor::Release,
        }
    }

    /// containerd, its shim and its client.
    pub fn containerd(version: &str) -> Self {
        let module = "github.com/containerd/containerd/v2";
        Component {
            name: "containerd",
            modules: vec![(module.to_owned(), version.to_owned())],
            programs: super::CONTAINERD_PROGRAMS.map(|name| (name, format!("{module}/cmd/{name}"))).into(),
            // Snapshotters that a node does not use, and that want C libraries.
            tags: "no_btrfs,no_zfs",
            variables: vec![format!("{module}/version.Version={version}")],
            flavor: Flavor::Release,
        }
    }

    /// The reference CNI plugins.
    pub fn cni_plugins() -> Self {
        let module = "github.com/containernetworking/plugins";
        let package = |(kind, name)| (name, format!("{module}/plugins/{kind}/{name}"));
        Component {
            name: "cni-plugins",
            modules: vec![(module.to_owned(), CNI_PLUGINS.to_owned())],
            programs: super::CNI_PROGRAMS.map(package).into(),
            tags: "",
            variables: vec![format!("{module}/pkg/utils/buildversion.BuildVersion={CNI_PLUGINS}")],
            flavor: Flavor::Release,
        }
    }

    /// Flags of the linker.
    pub fn ldflags(&self) -> String {
        let variables = self.variables.iter().map(|variable| format!(" -X {variable}"));
        format!("{}{}", self.flavor.stripped(), variables.collect::<String>())
    }

    /// Digest of all that goes into a build, with the `toolchain` that does it.
    pub fn key(&self, toolchain: &str) -> String {
        Key::new("go 1")
            .with("toolchain", toolchain)
            .with_all("module", self.modules.iter().map(|(path, version)| format!("{path}@{version}")))
            .with_all("program", self.programs.iter().map(|(name, package)| format!("{name}={package}")))
            .with("tags", self.tags)
            .with("ldflags", self.ldflags())
            .finish()
    }
}

/// Programs of Kubernetes' test/images.
const SUITE_IMAGES: [&str; 5] =
    ["agnhost", "nonewprivs", "regression-issue-74839", "resource-consumer", "sample-device-plugin"];

/// What runs tests: at the version that Kubernetes requires, it speaks their language.
const GINKGO: &str = "github.com/onsi/ginkgo/v2/ginkgo";

const SAMPLE_APISERVER: &str = "k8s.io/sample-apiserver";

/// The module of Kubernetes.
pub const KUBERNETES: &str = "k8s.io/kubernetes";

/// What `kubectl version` and the kubelet's node status show.
fn version_variables(version: &Version) -> Vec<String> {
    let values = [
        ("gitVersion", version.to_string()),
        ("gitMajor", version.major.to_string()),
        ("gitMinor", version.minor.to_string()),
    ];
    let packages = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];
    packages
        .iter()
        .flat_map(|package| values.iter().map(move |(name, value)| format!("{package}.{name}={value}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubernetes(version: &str) -> Component {
        Component::kubernetes(&version.parse().expect("a version"))
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
        assert_eq!(one.programs, [("kubelet", "k8s.io/kubernetes/cmd/kubelet".to_owned())]);
        assert_ne!(one.key("go"), kubernetes("v1.37.2").key("go"));
    }

    #[test]
    fn the_suite_is_what_the_source_has_of_it() {
        let tree = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(tree.path().join("test/images/agnhost")).expect("made");
        let suite = Component::suite(&"v1.37.2".parse().expect("a version"), tree.path());
        let names: Vec<_> = suite.programs.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["kubectl", "e2e.test", "agnhost", "ginkgo", "sample-apiserver"]);
        assert_eq!(suite.modules[1], ("k8s.io/sample-apiserver".to_owned(), "v0.37.2".to_owned()));
    }

    #[test]
    fn a_build_for_a_debugger_keeps_its_symbols_and_is_a_build_of_its_own() {
        let debug = kubernetes("v1.37.2").compiled_for(Flavor::Debug);
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
