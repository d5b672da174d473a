//! Write a container image as an OCI archive: one uncompressed layer, and the same bytes from the same input.
//!
//! The format: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>, in a tar file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, Os, RootFsBuilder, Sha256Digest,
};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use super::digest::hex;
use crate::files::FileError;

/// What an entry of a layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A directory with its mode.
    Directory(u32),
    /// A file of ours, with mode 0644.
    Text(String),
    /// A copy of a file of the host, with its mode.
    File(PathBuf),
    /// A symbolic link to this target.
    Link(PathBuf),
}

/// The one layer of an image: paths without a leading slash. A map, so that its order is always the same.
pub type Layer = BTreeMap<PathBuf, Entry>;

/// An image to write.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name and tag.
    pub reference: String,
    /// The program to run.
    pub entrypoint: String,
    /// Its files.
    pub layer: Layer,
}

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A document could not be made.
    #[error("cannot describe image {reference}")]
    Document {
        /// The image.
        reference: String,
        /// Why.
        source: OciSpecError,
    },
}

/// Add `path` with its parent directories.
pub fn add(layer: &mut Layer, path: impl Into<PathBuf>, entry: Entry) {
    let path = path.into();
    for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
        layer.entry(parent.to_owned()).or_insert(Entry::Directory(0o755));
    }
    layer.insert(path, entry);
}

/// Write `image` as an archive to `path`.
///
/// # Errors
/// When a file of it cannot be read, or the archive cannot be written.
pub fn write(image: &Image, path: &Path) -> Result<(), OciError> {
    // Twice through the files, the second time from the page cache: the archive wants the digest before the content.
    let mut hasher = Counted { hasher: Sha256::new(), length: 0 };
    write_layer(&image.layer, &mut hasher)?;
    let layer = Blob { digest: hex(&hasher.hasher.finalize()), size: hasher.length };
    let documents =
        documents(image, &layer).map_err(|source| OciError::Document { reference: image.reference.clone(), source })?;

    let file = File::create(path).map_err(FileError::of("create", path))?;
    let mut archive = tar::Builder::new(BufWriter::with_capacity(1 << 20, file));
    let mut attempt = || -> io::Result<()> {
        for (name, content) in &documents {
            append(&mut archive, name, content.len() as u64, content.as_slice())?;
        }
        let mut header = header(EntryType::Regular, 0o644, layer.size);
        header.set_path(blob_path(&layer.digest))?;
        header.set_cksum();
        archive.get_mut().write_all(header.as_bytes())
    };
    attempt().map_err(FileError::of("write", path))?;
    write_layer(&image.layer, archive.get_mut())?;
    let finish = || -> io::Result<()> {
        let padding = (512 - layer.size % 512) % 512;
        archive.get_mut().write_all(&[0; 512][..usize::try_from(padding).unwrap_or(0)])?;
        archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()
    };
    finish().map_err(FileError::of("write", path))?;
    Ok(())
}

struct Blob {
    digest: String,
    size: u64,
}

struct Counted {
    hasher: Sha256,
    length: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn blob_path(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

/// Everything of the archive but the layer: name and content, in the order of the archive.
fn documents(image: &Image, layer: &Blob) -> Result<Vec<(String, Vec<u8>)>, OciSpecError> {
    let architecture = if super::arch() == "arm64" { Arch::ARM64 } else { Arch::Amd64 };
    let config = ImageConfigurationBuilder::default()
        .architecture(architecture)
        .os(Os::Linux)
        .config(
            ConfigBuilder::default()
                .entrypoint(vec![image.entrypoint.clone()])
                .env(vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()])
                .working_dir("/")
                .build()?,
        )
        .rootfs(RootFsBuilder::default().typ("layers").diff_ids(vec![format!("sha256:{}", layer.digest)]).build()?)
        .build()?
        .to_string()?
        .into_bytes();
    let config_blob = blob(&config);
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, &config_blob)?)
        .layers(vec![descriptor(MediaType::ImageLayer, layer)?])
        .build()?
        .to_string()?
        .into_bytes();
    let manifest_blob = blob(&manifest);
    let mut entry = descriptor(MediaType::ImageManifest, &manifest_blob)?;
    // The name under which `ctr images import` puts it.
    entry.set_annotations(Some([("io.containerd.image.name".to_owned(), image.reference.clone())].into()));
    let index = ImageIndexBuilder::default().schema_version(2u32).manifests(vec![entry]).build()?.to_string()?;
    Ok(vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index.into_bytes()),
        (blob_path(&manifest_blob.digest), manifest),
        (blob_path(&config_blob.digest), config),
    ])
}

fn blob(content: &[u8]) -> Blob {
    Blob { digest: hex(&Sha256::digest(content)), size: content.len() as u64 }
}

fn descriptor(media_type: MediaType, blob: &Blob) -> Result<Descriptor, OciSpecError> {
    let digest: Sha256Digest = blob.digest.parse()?;
    DescriptorBuilder::default().media_type(media_type).size(blob.size).digest(digest).build()
}

fn write_layer(layer: &Layer, output: impl Write) -> Result<(), FileError> {
    let mut tar = tar::Builder::new(output);
    for (path, entry) in layer {
        let mut attempt = || -> io::Result<()> {
            match entry {
                Entry::Directory(mode) => {
                    let header = header(EntryType::Directory, *mode, 0);
                    append_as(&mut tar, header, path, io::empty())
                }
                Entry::Text(text) => append(&mut tar, path, text.len() as u64, text.as_bytes()),
                Entry::File(source) => {
                    let file = File::open(source)?;
                    let metadata = file.metadata()?;
                    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
                    append_as(&mut tar, header(EntryType::Regular, mode, metadata.len()), path, file)
                }
                Entry::Link(target) => tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target),
            }
        };
        let named = if let Entry::File(source) = entry { source } else { path };
        attempt().map_err(FileError::of("archive", named))?;
    }
    tar.into_inner().map(drop).map_err(FileError::of("archive", Path::new("the layer")))
}

/// A header with nothing in it that changes from one build to the next.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

fn append(tar: &mut tar::Builder<impl Write>, path: impl AsRef<Path>, size: u64, content: impl Read) -> io::Result<()> {
    append_as(tar, header(EntryType::Regular, 0o644, size), path.as_ref(), content)
}

fn append_as(
    tar: &mut tar::Builder<impl Write>,
    mut header: Header,
    path: &Path,
    content: impl Read,
) -> io::Result<()> {
    tar.append_data(&mut header, path, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(dir: &Path) -> Image {
        let program = dir.join("program");
        std::fs::write(&program, "#!/bin/true\n").expect("written");
        let mut layer = Layer::new();
        add(&mut layer, "usr/local/bin/program", Entry::File(program));
        add(&mut layer, "tmp", Entry::Directory(0o1777));
        add(&mut layer, "bin", Entry::Link("usr/bin".into()));
        add(&mut layer, "etc/passwd", Entry::Text("root:x:0:0:root:/root:/bin/false\n".to_owned()));
        Image {
            reference: "example.org/a/program:v1".to_owned(),
            entrypoint: "/usr/local/bin/program".to_owned(),
            layer,
        }
    }

    /// Name and content of every file of a tar.
    fn files(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().expect("a tar");
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.expect("an entry");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            (entry.path().expect("a path").display().to_string(), content)
        };
        entries.map(read).collect()
    }

    #[test]
    fn every_digest_in_the_archive_is_that_of_a_blob_in_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("image.tar");
        write(&image(dir.path()), &path).expect("written");
        let files = files(&std::fs::read(&path).expect("read"));

        let blobs: Vec<_> =
            files.iter().filter_map(|(name, content)| Some((name.strip_prefix("blobs/sha256/")?, content))).collect();
        assert_eq!(blobs.len(), 3, "manifest, config, layer");
        for (digest, content) in &blobs {
            assert_eq!(*digest, hex(&Sha256::digest(content)));
        }
        let json = |content: &[u8]| serde_json::from_slice::<serde_json::Value>(content).expect("JSON");
        let blob = |digest: &serde_json::Value| {
            files[&blob_path(digest.as_str().and_then(|d| d.strip_prefix("sha256:")).expect("a digest"))].clone()
        };
        let index = json(&files["index.json"]);
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "example.org/a/program:v1");
        let manifest = json(&blob(&index["manifests"][0]["digest"]));
        let config = json(&blob(&manifest["config"]["digest"]));
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"], "the layer is not compressed");
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/local/bin/program");
        let layer = super::tests::files(&blob(&manifest["layers"][0]["digest"]));
        let names: Vec<_> = layer.keys().map(|name| name.trim_end_matches('/')).collect();
        assert_eq!(
            names,
            ["bin", "etc", "etc/passwd", "tmp", "usr", "usr/local", "usr/local/bin", "usr/local/bin/program"]
        );
    }

    #[test]
    fn the_same_image_gives_the_same_bytes_whenever_it_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let (first, second) = (dir.path().join("1.tar"), dir.path().join("2.tar"));
        write(&image(dir.path()), &first).expect("written");
        std::fs::File::open(dir.path().join("program"))
            .and_then(|file| file.set_modified(std::time::UNIX_EPOCH))
            .expect("another time");
        write(&image(dir.path()), &second).expect("written");
        assert_eq!(std::fs::read(first).expect("read"), std::fs::read(second).expect("read"));
    }
}
