//! A server of files over HTTP that is also a registry of images, as far as pulling needs one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use nodectl::image::digest;
use nodectl::image::oci::{self, Image};
use tempfile::TempDir;

use crate::fixture::succeed;

/// What is served: content type, and the file with the content.
type Files = BTreeMap<String, (String, PathBuf)>;

/// A server that runs until the test ends.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    files: Arc<Mutex<Files>>,
    images: TempDir,
}

impl Server {
    /// Serve nothing yet, at this address and port.
    ///
    /// # Panics
    /// The address or port is not free.
    pub fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Server { address, files: Arc::default(), images: tempfile::tempdir().expect("a directory") };
        let files = Arc::clone(&server.files);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let files = Arc::clone(&files);
                // Clients may hang up early: tests kill them.
                thread::spawn(move || answer(&files, connection).unwrap_or_default());
            }
        });
        server
    }

    /// Serve a file.
    pub fn put(&self, path: &str, content_type: &str, file: &Path) {
        let entry = (content_type.to_owned(), file.to_owned());
        self.files.lock().expect("not poisoned").insert(path.to_owned(), entry);
    }

    /// Serve another file under each path that ends in `suffix`.
    ///
    /// # Panics
    /// No such path is served.
    pub fn replace(&self, suffix: &str, file: &Path) {
        let mut files = self.files.lock().expect("not poisoned");
        let served = files.iter_mut().filter(|(path, _)| path.ends_with(suffix));
        assert!(served.map(|(_, (_, served))| *served = file.to_owned()).count() > 0, "{suffix} is served");
    }

    /// Serve an image by the registry's protocol: its manifest by tag and by digest, its blobs by digest.
    ///
    /// # Panics
    /// The image cannot be written.
    pub fn push(&self, image: &Image) {
        let (repository, tag) = image.reference.rsplit_once(':').expect("a tag");
        let (_, repository) = repository.split_once('/').expect("a registry");
        let dir = self.images.path().join(repository.replace('/', "_"));
        fs::create_dir(&dir).expect("made");
        oci::write(image, &dir.join("image.tar")).expect("an archive");
        succeed(Command::new("tar").arg("-xf").arg(dir.join("image.tar")).arg("-C").arg(&dir));

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
    // Read the rest of the head: closing a socket with unread data resets the connection (RFC 1122, 4.2.2.13).
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
