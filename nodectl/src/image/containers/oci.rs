//! Write a container image as an OCI archive: one layer, and the same bytes from the same input.
//!
//! The format: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>, in a tar file.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use foundation::files::FileError;
use oci_spec::OciSpecError;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, ImageConfigurationBuilder, ImageIndex, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, Os, RootFsBuilder, Sha256Digest,
};
use sha2::{Digest, Sha256};

use super::layer::{self, Layer};
use crate::image::arch::arch;
use crate::image::compress;
use crate::image::digest::hex;

/// An image to write.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Its name and tag.
    pub reference: String,
    /// The program to run; empty if there is none beside the command.
    pub entrypoint: String,
    /// What is run, or given to the program, where a pod says nothing else.
    pub command: Vec<String>,
    /// The user that it runs as; root if empty.
    pub user: String,
    /// Its files.
    pub layer: Layer,
}

/// An archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// A file could not be read or written.
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

/// Write `image` as an archive to `path`.
///
/// # Errors
/// A file of the image cannot be read, or the archive cannot be written.
pub fn write(image: &Image, path: &Path) -> Result<(), OciError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    // Beside the archive, in which the layer's digest comes before its content.
    let compressed = tempfile::tempfile_in(dir).map_err(FileError::of("create a file in", dir))?;
    let (layer, mut compressed) = compress(&image.layer, compressed, path)?;
    let documents =
        documents(image, &layer).map_err(|source| OciError::Document { reference: image.reference.clone(), source })?;

    let attempt = || -> io::Result<()> {
        let mut archive = tar::Builder::new(BufWriter::with_capacity(1 << 20, File::create(path)?));
        for (name, content) in &documents {
            layer::append(&mut archive, name, content.len() as u64, content.as_slice())?;
        }
        compressed.rewind()?;
        layer::append(&mut archive, blob_path(&layer.blob.digest), layer.blob.size, compressed)?;
        archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()
    };
    attempt().map_err(FileError::of("write", path))?;
    Ok(())
}

/// A layer as it is sent, and the digest of its content.
struct Compressed {
    blob: Blob,
    content: String,
}

/// Write a layer to a file, which is returned.
fn compress(layer: &Layer, file: File, path: &Path) -> Result<(Compressed, File), OciError> {
    let failed = || FileError::of("compress a layer of", path);
    let mut content = Digested::of(compress::encoder(Digested::of(file)).map_err(failed())?);
    layer::write(layer, &mut content)?;
    let (content, encoder) = content.end();
    let (blob, file) = encoder.finish().map_err(failed())?.end();
    Ok((Compressed { blob, content: content.digest }, file))
}

/// The digest of the manifest in an archive that [`write`] has written.
pub(crate) fn digest(path: &Path) -> Result<String, FileError> {
    let read = || -> io::Result<String> {
        for entry in tar::Archive::new(File::open(path)?).entries()? {
            let entry = entry?;
            if &*entry.path_bytes() == b"index.json" {
                let index = ImageIndex::from_reader(entry).map_err(io::Error::other)?;
                return index.manifests().first().map(|manifest| manifest.digest().to_string()).ok_or_else(damaged);
            }
        }
        Err(damaged())
    };
    read().map_err(FileError::of("read", path))
}

fn damaged() -> io::Error {
    io::Error::other("it names no image")
}

struct Blob {
    digest: String,
    size: u64,
}

/// Passes on what is written, and computes its digest and size.
struct Digested<W> {
    output: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Digested<W> {
    fn of(output: W) -> Self {
        Digested { output, hasher: Sha256::new(), size: 0 }
    }

    fn end(self) -> (Blob, W) {
        (Blob { digest: hex(&self.hasher.finalize()), size: self.size }, self.output)
    }
}

impl<W: Write> Write for Digested<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn blob_path(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

/// Everything of the archive but the layer: name and content, in the order of the archive.
fn documents(image: &Image, layer: &Compressed) -> Result<Vec<(String, Vec<u8>)>, OciSpecError> {
    let architecture = if arch() == "arm64" { Arch::ARM64 } else { Arch::Amd64 };
    let mut run = ConfigBuilder::default()
        .env(vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()])
        .working_dir("/");
    if !image.entrypoint.is_empty() {
        run = run.entrypoint(vec![image.entrypoint.clone()]);
    }
    if !image.command.is_empty() {
        run = run.cmd(image.command.clone());
    }
    if !image.user.is_empty() {
        run = run.user(image.user.clone());
    }
    let config = ImageConfigurationBuilder::default()
        .architecture(architecture)
        .os(Os::Linux)
        .config(run.build()?)
        .rootfs(RootFsBuilder::default().typ("layers").diff_ids(vec![format!("sha256:{}", layer.content)]).build()?)
        .build()?
        .to_string()?
        .into_bytes();
    let config_blob = blob(&config);
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, &config_blob)?)
        .layers(vec![descriptor(MediaType::ImageLayerZstd, &layer.blob)?])
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

#[cfg(test)]
mod tests {
    use super::super::layer::{Entry, add};
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read;

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
            ..Image::default()
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
        assert_eq!(digest(&path).expect("there"), index["manifests"][0]["digest"]);
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "example.org/a/program:v1");
        let manifest = json(&blob(&index["manifests"][0]["digest"]));
        let config = json(&blob(&manifest["config"]["digest"]));
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/local/bin/program");
        let layer = zstd::decode_all(blob(&manifest["layers"][0]["digest"]).as_slice()).expect("zstd");
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&Sha256::digest(&layer))));
        let layer = super::tests::files(&layer);
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
