//! Images of Kubernetes' end-to-end tests that are not made here: why not, and what the names of the tests that need them
//! contain. Taken from Kubernetes' test/e2e: the suite itself does not tell which test uses which image.

use foundation::record::Missing;

/// What the nodes of every cluster have, because kubeadm wants it.
const THERE: [&str; 2] = ["registry.k8s.io/pause:", "registry.k8s.io/etcd:"];

/// Images that no registry has: their tests want a pull to fail.
const NOWHERE: &str = "invalid.registry.k8s.io/";

/// Begin of an image's name, why it is missing, what the names of its tests contain.
type Row = (&'static str, &'static str, &'static [&'static str]);

const ROWS: [Row; 10] = [
    ("gcr.io/", "a private image of upstream's, which asks for credentials", &["private image", "image credentials"]),
    (
        "registry.k8s.io/build-image/distroless-iptables:",
        "made by upstream's release tools alone",
        &["should set TCP CLOSE_WAIT timeout"],
    ),
    ("registry.k8s.io/cloud-provider-gcp/", "of Google's cloud alone, whose tests leave themselves out", &[]),
    ("registry.k8s.io/e2e-test-images/apparmor-loader:", "AppArmor's parser is not packed for it", &["AppArmor"]),
    ("registry.k8s.io/e2e-test-images/node-perf/", "of the node suite alone", &[]),
    ("registry.k8s.io/e2e-test-images/perl:", "no test of this suite uses it", &[]),
    ("registry.k8s.io/e2e-test-images/volume/nfs:", "NFS's server is not packed for it", &["[Driver: nfs", "NFS"]),
    ("registry.k8s.io/e2e-test-images/volume/iscsi:", "iSCSI's server is not packed for it", &["[Driver: iscsi]"]),
    (
        "registry.k8s.io/sig-storage/nfs-provisioner:",
        "a project of its own, not among Kubernetes' modules",
        &["DynamicProvisioner External"],
    ),
    (
        // The driver of dynamic resources is reached through hostpathplugin.
        "registry.k8s.io/sig-storage/",
        "a project of its own, not among Kubernetes' modules",
        &["[Driver: csi-hostpath]", "CSI Mock", "[DRA] kubelet"],
    ),
];

/// Parts that the images made here lack, and services that tests need beside images.
const PARTS: [Row; 3] = [
    (
        "content of agnhost's registry",
        "it is pulled from upstream's registry while agnhost is made",
        &["when running a container with a new image", "pull an image from a registry"],
    ),
    (
        "a registry with the images",
        "its pods ask for a pull at each start, whether the node has the image or not",
        &["should allow server and client pods", "pull policy of Always"],
    ),
    (
        "CoreDNS in agnhost",
        "a program that is downloaded while agnhost is made",
        &["should support configurable pod resolv.conf", "DNS configMap"],
    ),
];

/// Whether a cluster has `image` already, or no registry is to have it.
pub(crate) fn is_not_needed(image: &str) -> bool {
    THERE.iter().any(|begin| image.starts_with(begin)) || image.starts_with(NOWHERE)
}

/// Why `image` has no recipe, and which tests need it.
pub(crate) fn image(image: &str) -> Missing {
    let row = ROWS.iter().find(|(begin, ..)| image.starts_with(begin));
    let (_, why, tests) = row.copied().unwrap_or(("", "not known to this version of nodectl", &[]));
    missing(image, why, tests)
}

/// The parts that images made here lack.
pub(crate) fn parts() -> impl Iterator<Item = Missing> {
    PARTS.iter().map(|(what, why, tests)| missing(what, why, tests))
}

fn missing(image: &str, why: &str, tests: &[&str]) -> Missing {
    Missing {
        image: image.to_owned(),
        why: why.to_owned(),
        tests: tests.iter().map(|test| (*test).to_owned()).collect(),
    }
}
