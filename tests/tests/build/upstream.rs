//! A stand-in for upstream's download sites and registry, on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodectl::image::catalog::{self, E2E};
use nodectl::image::digest;
use nodectl::image::layer::{self, Entry, Layer};
use nodectl::image::oci::Image;
use nodectl::image::project::{Pin, Project, Release};
use tempfile::TempDir;
use tests::server::Server;

/// A server with everything that a `release:` build fetches, made from an image that exists.
pub(crate) struct Upstream {
    server: Server,
    dir: TempDir,
}

impl Upstream {
    /// Serve the programs in `rootfs` as the release `version` of Kubernetes, and small images of the names `references`.
    pub(crate) fn serve(rootfs: &Path, version: &str, references: &[String]) -> Self {
        let server = Server::at("127.0.0.1:0");
        let upstream = Upstream { server, dir: tempfile::tempdir().expect("a directory") };
        let tests = upstream.dir.path().join("tests");
        fs::create_dir(&tests).expect("made");
        for name in ["e2e.test", "ginkgo"] {
            fs::write(tests.join(name), format!("{name} of {version}")).expect("written");
        }
        for project in catalog::of_nodes().chain([&E2E]) {
            if let Some(release) = &project.release {
                upstream.release(project, release, version, rootfs, &tests);
            }
        }
        for reference in references {
            upstream.push(reference);
        }
        upstream
    }

    /// Environment that makes nodectl ask here, and nowhere else.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let address = format!("http://{}", self.server.address);
        let releases = catalog::of_nodes().filter_map(|project| project.release.as_ref());
        let mut environment: Vec<_> =
            releases.map(|release| (release.site.variable, format!("{address}/{}", release.site.option))).collect();
        environment.push(("KUBEADM_SYSTEMD_REGISTRY", address));
        environment
    }

    /// Publish what a row of the table says that upstream publishes, with the programs of a node, or of the tests.
    fn release(&self, project: &Project, release: &Release, kubernetes: &str, rootfs: &Path, tests: &Path) {
        let version = if let (_, Pin::At(version)) = project.modules[0] { version } else { kubernetes };
        let file = project.filled(release.file, version);
        let address = format!("/{}/{version}/{file}", release.site.option);
        let place = |name| project.programs.iter().find(|row| row.name == name).and_then(|row| row.place);
        if release.has_single_files() {
            for (name, dir) in project.programs.iter().filter_map(|row| Some((row.name, row.place?))) {
                self.publish(&address.replace("{program}", name), &rootfs.join(dir).join(name), release.digest);
            }
        } else {
            let names = release.names(project);
            let dir = place(names[0]).map_or(tests.to_owned(), |dir| rootfs.join(dir));
            self.publish(&address, &self.archive(project.name, &dir, &names), release.digest);
        }
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
