//! A stand-in for upstream's download sites and registry, on loopback.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use nodectl::build::component::{CNI_PLUGINS, CONTAINERD};
use nodectl::build::digest;
use nodectl::build::layer::{self, Entry, Layer};
use nodectl::build::oci::{self, Image};
use nodectl::build::{CNI_PROGRAMS, CONTAINERD_PROGRAMS, arch};
use tempfile::TempDir;

/// What is served: content type, and the file with the content.
type Files = BTreeMap<String, (String, PathBuf)>;

/// A server with everything that a `release:` build fetches, made from an image that is there.
pub(crate) struct Upstream {
    address: String,
    files: Arc<Mutex<Files>>,
    dir: TempDir,
}

impl Upstream {
    /// Serve the programs in `rootfs` as the release `version`, and small images of the names `references`.
    pub(crate) fn serve(rootfs: &Path, version: &str, references: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let upstream = Upstream { address, files: Arc::default(), dir: tempfile::tempdir().expect("a directory") };
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

        let files = Arc::clone(&upstream.files);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let files = Arc::clone(&files);
                // A client that hangs up early is its own business.
                thread::spawn(move || answer(&files, connection).unwrap_or_default());
            }
        });
        upstream
    }

    /// Environment that makes nodectl ask here, and nowhere else.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("KUBEADM_SYSTEMD_RELEASE_URL", format!("{}/release", self.address)),
            ("KUBEADM_SYSTEMD_REGISTRY", self.address.clone()),
            ("KUBEADM_SYSTEMD_CONTAINERD_URL", format!("{}/containerd", self.address)),
            ("KUBEADM_SYSTEMD_CNI_PLUGINS_URL", format!("{}/cni", self.address)),
        ]
    }

    /// Serve another content under each path that ends in `suffix`.
    pub(crate) fn replace(&self, suffix: &str, content: &str) {
        let file = self.dir.path().join("replaced");
        fs::write(&file, content).expect("written");
        let mut files = self.files.lock().expect("not poisoned");
        let served = files.iter_mut().filter(|(path, _)| path.ends_with(suffix));
        assert!(served.map(|(_, (_, served))| served.clone_from(&file)).count() > 0, "{suffix} is served");
    }

    fn put(&self, path: &str, content_type: &str, file: &Path) {
        let entry = (content_type.to_owned(), file.to_owned());
        self.files.lock().expect("not poisoned").insert(path.to_owned(), entry);
    }

    /// A file with its digest beside it.
    fn publish(&self, path: &str, file: &Path, digest_suffix: &str) {
        let digest = digest::sha256_file(file).expect("read");
        let digest_file = self.dir.path().join(&digest);
        fs::write(&digest_file, format!("{digest}  {}\n", file.display())).expect("written");
        self.put(path, "application/octet-stream", file);
        self.put(&format!("{path}{digest_suffix}"), "text/plain", &digest_file);
    }

    fn archive(&self, name: &str, dir: &Path, programs: &[&str]) -> PathBuf {
        let archive = self.dir.path().join(format!("{name}.tar.gz"));
        let mut tar = Command::new("tar");
        tar.args(["--create", "--use-compress-program=gzip -1", "--transform=s,^,bin/,", "--file"]);
        let status = tar.arg(&archive).arg("--directory").arg(dir).args(programs).status().expect("tar runs");
        assert!(status.success(), "tar made {}", archive.display());
        archive
    }

    /// An image with nothing but its own name in it, by the registry's protocol: manifest under its tag and its
    /// digest, blobs under theirs.
    fn push(&self, reference: &str) {
        let (repository, tag) = reference.rsplit_once(':').expect("a tag");
        let (_, repository) = repository.split_once('/').expect("a registry");
        let dir = self.dir.path().join(repository.replace('/', "_"));
        fs::create_dir(&dir).expect("made");
        let mut layer = Layer::new();
        layer::add(&mut layer, "name", Entry::Text(reference.to_owned()));
        layer::add(&mut layer, "usr/local/bin/etcdctl", Entry::Text(format!("etcdctl of {reference}")));
        let image =
            Image { reference: reference.to_owned(), entrypoint: "/name".to_owned(), layer, ..Image::default() };
        oci::write(&image, &dir.join("image.tar")).expect("an archive");
        let status = Command::new("tar").arg("-xf").arg(dir.join("image.tar")).arg("-C").arg(&dir).status();
        assert!(status.expect("tar runs").success());

        let index = fs::read(dir.join("index.json")).expect("an index");
        let index: serde_json::Value = serde_json::from_slice(&index).expect("JSON");
        let manifest = index["manifests"][0]["digest"].as_str().expect("a digest");
        for blob in fs::read_dir(dir.join("blobs/sha256")).expect("blobs") {
            let blob = blob.expect("a blob");
            let digest = format!("sha256:{}", blob.file_name().display());
            if digest == manifest {
                for name in [tag, &digest] {
                    let content_type = "application/vnd.oci.image.manifest.v1+json";
                    self.put(&format!("/v2/{repository}/manifests/{name}"), content_type, &blob.path());
                }
            }
            self.put(&format!("/v2/{repository}/blobs/{digest}"), "application/octet-stream", &blob.path());
        }
    }
}

/// One request a connection (RFC 9112), which is closed after it.
fn answer(files: &Mutex<Files>, mut connection: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    // The rest of the head must be read: closing with unread data resets the connection.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = request.split(' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().and_then(|path| path.split('?').next()).unwrap_or_default().to_owned();
    let found = files.lock().expect("not poisoned").get(&path).cloned();
    let Some((content_type, file)) = found else {
        let status = if path == "/v2/" { "200 OK" } else { "404 Not Found" };
        return write!(connection, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    };
    let length = fs::metadata(&file)?.len();
    let digest = if path.starts_with("/v2/") {
        format!("docker-content-digest: sha256:{}\r\n", digest::sha256_file(&file)?)
    } else {
        String::new()
    };
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n{digest}connection: close\r\n\r\n"
    )?;
    if method != "HEAD" {
        io::copy(&mut File::open(&file)?.take(length), &mut connection)?;
    }
    connection.flush()
}
