//! A cluster of a test, by the commands that users run; taken down when this is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::bin;
use crate::fixture::succeed;

/// A cluster in the machine's own state directory.
pub struct Cluster {
    name: &'static str,
    image: &'static str,
}

impl Cluster {
    /// A cluster that is not there yet. The binaries and the node image are, when this returns.
    ///
    /// # Panics
    /// When one of them cannot be built.
    pub fn new(name: &'static str) -> Self {
        Cluster::of_image(name, "default")
    }

    /// The same, of nodes of another image, which `up` builds.
    ///
    /// # Panics
    /// As [`Cluster::new`].
    pub fn of_image(name: &'static str, image: &'static str) -> Self {
        for binary in ["cnispawn", "nodectl", "clusterctl"] {
            bin(binary);
        }
        crate::node::image();
        Cluster { name, image }
    }

    /// The wrapper, with the binaries of this build.
    pub fn wrapper(&self, words: &[&str]) -> Command {
        let mut wrapper = self.command(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../kubeadm-systemd"), words);
        wrapper.env("KUBEADM_SYSTEMD_BUILD", bin("clusterctl").parent().expect("a directory"));
        wrapper
    }

    /// nodectl, for this cluster.
    pub fn nodectl(&self, words: &[&str]) -> Command {
        self.command(&bin("nodectl"), words)
    }

    /// clusterctl, for this cluster.
    pub fn clusterctl(&self, words: &[&str]) -> Command {
        self.command(&bin("clusterctl"), words)
    }

    fn command(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null());
        command.env("KUBEADM_SYSTEMD_CLUSTER", self.name).env("KUBEADM_SYSTEMD_IMAGE", self.image);
        command
    }

    /// Make it, of this many nodes, and return its record: the last line of standard output.
    ///
    /// # Panics
    /// When that fails.
    pub fn up(&self, nodes: u32) -> Value {
        self.up_with(nodes, &[])
    }

    /// The same with more options.
    ///
    /// # Panics
    /// As [`Cluster::up`].
    pub fn up_with(&self, nodes: u32, options: &[&str]) -> Value {
        let output = succeed(&mut self.wrapper(&[&["up", "--nodes", &nodes.to_string()], options].concat()));
        serde_json::from_str(output.lines().last().expect("a record")).expect("JSON")
    }

    /// Wait until each pod of the system is ready. Fails when one of them ends meanwhile, as kubectl does.
    ///
    /// # Panics
    /// When one is not ready after so many seconds.
    pub fn wait_for_system_pods(&self, seconds: u32) {
        let timeout = format!("--timeout={seconds}s");
        self.kubectl(&["-n", "kube-system", "wait", "--for=condition=Ready", "pod", "--all", &timeout]);
    }

    /// What its kubectl prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn kubectl(&self, words: &[&str]) -> String {
        succeed(&mut self.wrapper(&[&["kubectl"], words].concat()))
    }

    /// The same as JSON.
    ///
    /// # Panics
    /// When it fails.
    pub fn kubectl_json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[words, &["-o", "json"]].concat())).expect("JSON")
    }

    /// What a script prints on a node.
    ///
    /// # Panics
    /// When it fails.
    pub fn on_node(&self, node: &str, script: &str) -> String {
        succeed(&mut self.nodectl(&["exec", node, "--", "bash", "-euc", script]))
    }

    /// What a script prints in a pod.
    ///
    /// # Panics
    /// When it fails.
    pub fn in_pod(&self, pod: &str, script: &str) -> String {
        self.kubectl(&["exec", pod, "--", "bash", "-euc", script])
    }

    /// Where the state directory keeps it.
    pub fn dir(&self) -> PathBuf {
        Path::new("/var/lib/kubeadm-systemd/clusters").join(self.name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.wrapper(&["down"]).output();
    }
}

/// Run a command that must fail, and return what it says.
///
/// # Panics
/// When it succeeds.
pub fn refused(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.stderr(Stdio::piped()).output().expect("it runs");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!status.success(), "{command:?}: {status}\n{}\n{said}", String::from_utf8_lossy(&stdout));
    said
}
