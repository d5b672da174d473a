//! The one table of what is compiled or fetched. A row is all that it takes to bring a program into every node, whatever
//! the source of Kubernetes is.

use super::project::{Compiler, Pin, Project, Release, Row, Site};
use super::version;

const BIN: Option<&str> = Some("usr/bin");
const LOCAL: Option<&str> = Some("usr/local/bin");
const CNI: Option<&str> = Some("opt/cni/bin");

/// What `kubectl version` and the kubelet's node status show.
const VERSION_OF_KUBERNETES: &[&str] = &[
    "k8s.io/component-base/version.gitVersion={version}",
    "k8s.io/component-base/version.gitMajor={major}",
    "k8s.io/component-base/version.gitMinor={minor}",
    "k8s.io/client-go/pkg/version.gitVersion={version}",
    "k8s.io/client-go/pkg/version.gitMajor={major}",
    "k8s.io/client-go/pkg/version.gitMinor={minor}",
];

/// Where Kubernetes is published.
pub(crate) static DL_K8S_IO: Site = Site {
    option: "release-url",
    variable: "KUBEADM_SYSTEMD_RELEASE_URL",
    url: "https://dl.k8s.io/release",
    help: "Where releases of Kubernetes are: URL/VERSION/bin/linux/ARCH/kubeadm",
};

const fn row(name: &'static str, package: &'static str, place: Option<&'static str>) -> Row {
    Row { name, package, place }
}

/// What a row need not say.
const EMPTY: Project = Project {
    name: "",
    compiler: Compiler::Go,
    modules: &[],
    programs: &[],
    tags: "",
    variables: &[],
    release: None,
    files: &[],
};

/// Kubernetes' own programs.
pub static KUBERNETES: Project = Project {
    name: "kubernetes",
    modules: &[(version::MODULE, Pin::Kubernetes)],
    programs: &[
        row("kubeadm", "./cmd/kubeadm", BIN),
        row("kubelet", "./cmd/kubelet", BIN),
        row("kubectl", "./cmd/kubectl", BIN),
        row("kube-apiserver", "./cmd/kube-apiserver", None),
        row("kube-controller-manager", "./cmd/kube-controller-manager", None),
        row("kube-scheduler", "./cmd/kube-scheduler", None),
        row("kube-proxy", "./cmd/kube-proxy", None),
    ],
    variables: VERSION_OF_KUBERNETES,
    release: Some(Release { site: &DL_K8S_IO, file: "bin/linux/{arch}/{program}", digest: ".sha256", only: &[] }),
    ..EMPTY
};

/// The rest of what nodes have, or the images that kubeadm wants.
static OTHERS: &[Project] = &[
    Project {
        name: "etcd",
        modules: &[
            ("go.etcd.io/etcd/server/v3", Pin::Image("etcd")),
            ("go.etcd.io/etcd/etcdctl/v3", Pin::Image("etcd")),
        ],
        programs: &[
            row("etcd", "go.etcd.io/etcd/server/v3", None),
            row("etcdctl", "go.etcd.io/etcd/etcdctl/v3", LOCAL),
        ],
        ..EMPTY
    },
    Project {
        name: "coredns",
        modules: &[("github.com/coredns/coredns", Pin::Image("coredns"))],
        programs: &[row("coredns", "github.com/coredns/coredns", None)],
        ..EMPTY
    },
    Project {
        name: "containerd",
        modules: &[("github.com/containerd/containerd/v2", Pin::At("v2.4.2"))],
        programs: &[
            row("containerd", "./cmd/containerd", LOCAL),
            row("containerd-shim-runc-v2", "./cmd/containerd-shim-runc-v2", LOCAL),
            row("ctr", "./cmd/ctr", LOCAL),
        ],
        // Snapshotters that a node does not use, and that want C libraries.
        tags: "no_btrfs,no_zfs",
        variables: &["{module}/version.Version={version}"],
        release: Some(Release {
            site: &Site {
                option: "containerd-url",
                variable: "KUBEADM_SYSTEMD_CONTAINERD_URL",
                url: "https://github.com/containerd/containerd/releases/download",
                help: "Where releases of containerd are: URL/VERSION/containerd-static-...tar.gz",
            },
            // The static build: it runs on this host too, whose C library may be another one.
            file: "containerd-static-{number}-linux-{arch}.tar.gz",
            digest: ".sha256sum",
            only: &[],
        }),
        ..EMPTY
    },
    Project {
        name: "cni-plugins",
        // As containerd 2.4 is released with it.
        modules: &[("github.com/containernetworking/plugins", Pin::At("v1.9.1"))],
        programs: &[
            row("bridge", "./plugins/main/bridge", CNI),
            row("host-device", "./plugins/main/host-device", CNI),
            row("loopback", "./plugins/main/loopback", CNI),
            row("ptp", "./plugins/main/ptp", CNI),
            row("host-local", "./plugins/ipam/host-local", CNI),
            row("static", "./plugins/ipam/static", CNI),
            row("bandwidth", "./plugins/meta/bandwidth", CNI),
            row("firewall", "./plugins/meta/firewall", CNI),
            row("portmap", "./plugins/meta/portmap", CNI),
            row("tuning", "./plugins/meta/tuning", CNI),
        ],
        variables: &["{module}/pkg/utils/buildversion.BuildVersion={version}"],
        release: Some(Release {
            site: &Site {
                option: "cni-plugins-url",
                variable: "KUBEADM_SYSTEMD_CNI_PLUGINS_URL",
                url: "https://github.com/containernetworking/plugins/releases/download",
                help: "Where releases of the CNI plugins are: URL/VERSION/cni-plugins-...tgz",
            },
            file: "cni-plugins-linux-{arch}-{version}.tgz",
            digest: ".sha256",
            only: &[],
        }),
        ..EMPTY
    },
    Project {
        // Released with each minor version of Kubernetes; it speaks the CRI of all since 1.27.
        name: "cri-tools",
        modules: &[("sigs.k8s.io/cri-tools", Pin::At("v1.37.0"))],
        programs: &[row("crictl", "./cmd/crictl", LOCAL)],
        variables: &["{module}/pkg/version.Version={version}"],
        release: Some(Release {
            site: &Site {
                option: "cri-tools-url",
                variable: "KUBEADM_SYSTEMD_CRI_TOOLS_URL",
                url: "https://github.com/kubernetes-sigs/cri-tools/releases/download",
                help: "Where releases of crictl are: URL/VERSION/crictl-...tar.gz",
            },
            file: "crictl-{version}-linux-{arch}.tar.gz",
            digest: ".sha256",
            only: &[],
        }),
        files: &[(
            "etc/crictl.yaml",
            "runtime-endpoint: unix:///run/containerd/containerd.sock\n\
             image-endpoint: unix:///run/containerd/containerd.sock\n",
        )],
        ..EMPTY
    },
    Project {
        // It holds a pod's namespaces: the one part of Kubernetes that is written in C.
        name: "pause",
        compiler: Compiler::C,
        modules: &[(version::MODULE, Pin::Image("pause"))],
        programs: &[row("pause", "build/pause/linux/pause.c", None)],
        ..EMPTY
    },
];

/// The debugger of `nodectl component --debug`.
pub(crate) static DELVE: Project = Project {
    name: "delve",
    modules: &[("github.com/go-delve/delve", Pin::At("v1.27.2"))],
    programs: &[row("dlv", "./cmd/dlv", None)],
    ..EMPTY
};

/// Kubernetes' end-to-end tests, with what runs them and what their images are made of.
pub static E2E: Project = Project {
    name: "e2e",
    modules: &[
        (version::MODULE, Pin::Kubernetes),
        // Not among what Kubernetes requires.
        ("k8s.io/sample-apiserver", Pin::Staging),
    ],
    programs: &[
        row("kubectl", "./cmd/kubectl", None),
        row("e2e.test", "./test/e2e", None),
        row("agnhost", "./test/images/agnhost", None),
        row("nonewprivs", "./test/images/nonewprivs", None),
        row("regression-issue-74839", "./test/images/regression-issue-74839", None),
        row("resource-consumer", "./test/images/resource-consumer", None),
        row("sample-device-plugin", "./test/images/sample-device-plugin", None),
        row("consume-cpu", "./test/images/resource-consumer/consume-cpu", None),
        // At the version that Kubernetes requires, it speaks its tests' protocol.
        row("ginkgo", "github.com/onsi/ginkgo/v2/ginkgo", None),
        row("sample-apiserver", "k8s.io/sample-apiserver", None),
    ],
    variables: VERSION_OF_KUBERNETES,
    release: Some(Release {
        site: &DL_K8S_IO,
        file: "kubernetes-test-linux-{arch}.tar.gz",
        digest: ".sha256",
        only: &["e2e.test", "ginkgo"],
    }),
    ..EMPTY
};

/// All that nodes have, or the images that kubeadm wants; Kubernetes first.
pub fn of_nodes() -> impl Iterator<Item = &'static Project> {
    std::iter::once(&KUBERNETES).chain(OTHERS)
}

/// The project that has the program of this name.
pub(crate) fn with_program(name: &str) -> Option<&'static Project> {
    of_nodes().find(|project| project.programs.iter().any(|row| row.name == name))
}

/// The sites of all projects, each once.
pub(crate) fn sites() -> Vec<&'static Site> {
    let mut sites: Vec<&Site> = of_nodes().filter_map(|project| Some(project.release.as_ref()?.site)).collect();
    sites.sort_by_key(|site| site.option);
    sites.dedup_by_key(|site| site.option);
    sites
}

#[cfg(test)]
pub(super) fn project(name: &str) -> &'static Project {
    of_nodes().chain([&DELVE, &E2E]).find(|project| project.name == name).expect("in the table")
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use foundation::record::{Component, NodeProgram};

    use super::*;

    #[test]
    fn every_component_but_runc_which_is_debians_is_a_program_of_the_table() {
        for component in Component::value_variants() {
            assert!(with_program(component.name()).is_some() != (*component == Component::Runc), "{component:?}");
        }
    }

    #[test]
    fn the_programs_that_an_upgrade_brings_are_those_of_kubernetes_that_a_node_has() {
        let placed = KUBERNETES.programs.iter().filter(|row| row.place.is_some()).map(|row| row.name);
        let mut upgraded = NodeProgram::ALL.map(|(_, name)| name);
        upgraded.sort_unstable();
        let mut placed: Vec<_> = placed.collect();
        placed.sort_unstable();
        assert_eq!(placed, upgraded);
    }

    #[test]
    fn no_two_programs_have_one_name() {
        let mut names: Vec<_> = of_nodes().flat_map(|project| project.programs).map(|row| row.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
