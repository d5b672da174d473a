//! A stand-in for upstream's download sites and registry, on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodectl::image::component::{CNI_PLUGINS, CONTAINERD};
use nodectl::image::digest;
use nodectl::image::layer::{self, Entry, Layer};
use nodectl::image::oci::Image;
use nodectl::image::{CNI_PROGRAMS, CONTAINERD_PROGRAMS, arch};
use tempfile::TempDir;
use tests::server::Server;

/// A server with everything that a `release:` build fetches, made from an image that is there.
pub(crate) struct Upstream {
    server: Server,
    dir: TempDir,
}

impl Upstream {
    /// Serve the programs in `rootfs` as the release `version`, and small images of the names `references`.
    pub(crate) fn serve(rootfs: &Path, version: &str, references: &[String]) -> Self {
        let server = Server::at("127.0.0.1:0");
        let upstream = Upstream { server, dir: tempfile::tempdir().expect("a directory") };
        for name in ["kubeadm", "kubelet", "kubectl"] {
            let path = format!("/release/{version}/bin/linux/{}/{name}", arch());
            upstream.publish(&path, &rootfs.join("usr/bin").join(name), ".sha256");
        }
        let number = CONTAINERD.trim_start_matches('v');
        let containerd = upstream.archive("containerd", &rootfs.join("usr/local/bin"), &CONTAINERD_PROGRAMS);
        let path = format!("/containerd/{CONTAINERD}/containerd-static-{number}-linux-{}.tar.gz", arch());
        upstream.publish(&path, &containerd, ".sha256sum");
        let plugins = upstream.archive("cni", &rootfs.join("opt/cni/bin"), &CNI_PROGRAMS.map(|(_, name)| name));
        let path = format!("/cni/{CNI_PLUGINS}/cni-plugins-linux-{}-{CNI_PLUGINS}.tgz", arch());
        upstream.publish(&path, &plugins, ".sha256");
        let tests = upstream.dir.path().join("tests");
        fs::create_dir(&tests).expect("made");
        for name in ["e2e.test", "ginkgo"] {
            fs::write(tests.join(name), format!("{name} of {version}")).expect("written");
        }
        let tests = upstream.archive("kubernetes-test", &tests, &["e2e.test", "ginkgo"]);
        upstream.publish(&format!("/release/{version}/kubernetes-test-linux-{}.tar.gz", arch()), &tests, ".sha256");
        for reference in references {
            upstream.push(reference);
        }
        upstream
    }

    /// Environment that makes nodectl ask here, and nowhere else.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        let address = format!("http://{}", self.server.address);
        [
            ("KUBEADM_SYSTEMD_RELEASE_URL", format!("{address}/release")),
            ("KUBEADM_SYSTEMD_CONTAINERD_URL", format!("{address}/containerd")),
            ("KUBEADM_SYSTEMD_CNI_PLUGINS_URL", format!("{address}/cni")),
            ("KUBEADM_SYSTEMD_REGISTRY", address),
        ]
    }

    /// Serve another content under each path that ends in `suffix`.
    pub(crate) fn replace(&self, suffix: &str, content: &str) {
        let file = self.dir.path().join("replaced");
        fs::write(&file, content).expect("written");
        self.server.replace(suffix, &file);
    }

    /// A file with its digest beside it.
    fn publish(&self, path: &str, file: &Path, digest_suffix: &str) {
        let digest = digest::sha256_file(file).expect("read");
        let digest_file = self.dir.path().join(&digest);
        fs::write(&digest_file, format!("{digest}  {}\n", file.display())).expect("written");
        self.server.put(path, "application/octet-stream", file);
        self.server.put(&format!("{path}{digest_suffix}"), "text/plain", &digest_file);
    }

    fn archive(&self, name: &str, dir: &Path, programs: &[&str]) -> PathBuf {
        let archive = self.dir.path().join(format!("{name}.tar.gz"));
        let mut tar = Command::new("tar");
        tar.args(["--create", "--use-compress-program=gzip -1", "--transform=s,^,bin/,", "--file"]);
        let status = tar.arg(&archive).arg("--directory").arg(dir).args(programs).status().expect("tar runs");
        assert!(status.success(), "tar made {}", archive.display());
        archive
    }

    /// An image with nothing but its own name in it.
    fn push(&self, reference: &str) {
        let mut layer = Layer::new();
        layer::add(&mut layer, "name", Entry::Text(reference.to_owned()));
        layer::add(&mut layer, "usr/local/bin/etcdctl", Entry::Text(format!("etcdctl of {reference}")));
        let reference = reference.to_owned();
        self.server.push(&Image { reference, entrypoint: "/name".to_owned(), layer, ..Image::default() });
    }
}
