//! The options of all builds: where Debian and releases are fetched from.

/// Where to fetch from. Every address is an option, so that a mirror serves.
#[derive(Clone, Debug, clap::Args)]
pub struct Mirrors {
    /// Debian mirror to install the node's operating system from, and what images have of it, instead of the one that
    /// mmdebstrap knows
    #[arg(long, value_name = "URL", env = "KUBEADM_SYSTEMD_DEBIAN_MIRROR")]
    pub debian_mirror: Option<String>,
    /// Where releases of Kubernetes are: URL/VERSION/bin/linux/ARCH/kubeadm
    #[arg(long, value_name = "URL", env = "KUBEADM_SYSTEMD_RELEASE_URL", default_value = "https://dl.k8s.io/release")]
    pub release_url: String,
    /// Registry to pull from in place of registry.k8s.io, with the same names in it
    #[arg(long, value_name = "URL", env = "KUBEADM_SYSTEMD_REGISTRY")]
    pub registry: Option<String>,
    /// Where releases of containerd are: URL/VERSION/containerd-static-...tar.gz
    #[arg(
        long,
        value_name = "URL",
        env = "KUBEADM_SYSTEMD_CONTAINERD_URL",
        default_value = "https://github.com/containerd/containerd/releases/download"
    )]
    pub containerd_url: String,
    /// Where releases of the CNI plugins are: URL/VERSION/cni-plugins-...tgz
    #[arg(
        long,
        value_name = "URL",
        env = "KUBEADM_SYSTEMD_CNI_PLUGINS_URL",
        default_value = "https://github.com/containernetworking/plugins/releases/download"
    )]
    pub cni_plugins_url: String,
}
