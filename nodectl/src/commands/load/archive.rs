//! Which images an archive holds: an OCI image layout or Docker's own format, in a tar file, compressed or not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::{Deserialize, Serialize};

use crate::image::digest;

/// Bytes of a document in an archive at the most.
const MOST: u64 = 4 << 20;

/// containerd's full name of an image, and in an OCI layout its name or only its tag.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// An image of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Named {
    /// Its full name and tag.
    name: String,
    /// The digest of its manifest or index, where the archive tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The digest of its configuration, in Docker's format, which has no manifest: containerd makes one.
    #[serde(skip)]
    id: Option<String>,
}

impl Named {
    /// The filter that lists this image for [`digest_of`], in the syntax of containerd's package pkg/filters.
    pub(super) fn filter(&self) -> String {
        // Quoted as in Go, which is as in JSON.
        format!("name=={}", serde_json::json!(self.name))
    }

    /// Whether a node has it, by the table of the node's images and the node's content of a manifest's digest.
    pub(super) fn is_in<'a>(&self, table: &'a str, content: impl FnOnce(&'a str) -> Option<Vec<u8>>) -> bool {
        let Some(found) = digest_of(&self.name, table) else { return false };
        match (&self.digest, &self.id) {
            (Some(digest), _) => found == digest,
            (None, Some(id)) => {
                let manifest = content(found).and_then(|text| ImageManifest::from_reader(text.as_slice()).ok());
                manifest.is_some_and(|manifest| manifest.config().digest().as_ref() == id)
            }
            (None, None) => false,
        }
    }
}

/// Why an archive cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read, or is not a tar file.
    #[error("it is no tar file, or damaged")]
    Read(#[from] io::Error),
    /// A document in it is malformed.
    #[error("its {name} is not as it should be")]
    Document {
        /// Which.
        name: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It holds no images.
    #[error("it has neither an index.json (OCI) nor a manifest.json (Docker): it holds no images")]
    NoImages,
    /// Images without a name cannot be run.
    #[error("its images have no names; write it with a name and a tag, as `docker save NAME:TAG` does")]
    NoNames,
}

/// An item of manifest.json.
#[derive(Deserialize)]
struct DockerImage {
    #[serde(rename = "Config", default)]
    config: String,
    #[serde(rename = "RepoTags", default)]
    repo_tags: Option<Vec<String>>,
}

/// The images of an archive, in the order of their names. Reads all of it.
///
/// # Errors
/// It is not an archive of images, or they have no names.
pub(super) fn read(input: impl Read) -> Result<Vec<Named>, ArchiveError> {
    let mut input = BufReader::with_capacity(1 << 20, input);
    match input.fill_buf()? {
        [0x1f, 0x8b, ..] => read_tar(MultiGzDecoder::new(input)),
        // zstd: ctr reads it, we do not. The images are then unknown, and the nodes decide.
        [0x28, 0xb5, 0x2f, 0xfd, ..] => io::copy(&mut input, &mut io::sink()).map(|_| Vec::new()).map_err(Into::into),
        _ => read_tar(input),
    }
}

fn read_tar(mut input: impl Read) -> Result<Vec<Named>, ArchiveError> {
    let (mut index, mut manifest, mut ids) = (None, None, BTreeSet::new());
    let mut tar = tar::Archive::new(&mut input);
    // Raw: of an extended name the crate reads into memory whatever length it claims. The two names here are short.
    for entry in tar.entries()?.raw(true) {
        let mut entry = entry?;
        let path = entry.path_bytes();
        let document = match path.strip_prefix(b"./").unwrap_or(&path) {
            b"index.json" => &mut index,
            b"manifest.json" => &mut manifest,
            other => {
                if let Some(name) = digest_in(other).filter(|_| entry.size() <= MOST)
                    && digest::sha256(&mut entry)? == name
                {
                    ids.insert(name);
                }
                continue;
            }
        };
        let mut text = Vec::new();
        entry.by_ref().take(MOST).read_to_end(&mut text)?;
        *document = Some(text);
    }
    // To the last byte after the archive's end, so that the writer into our pipe gets no SIGPIPE.
    io::copy(&mut input, &mut io::sink())?;
    if index.is_none() && manifest.is_none() {
        return Err(ArchiveError::NoImages);
    }
    let mut images = BTreeMap::new();
    for (name, config) in manifest.map(|text| docker_names(&text)).transpose()?.unwrap_or_default() {
        images.insert(name, (None, digest_in(config.as_bytes()).filter(|name| ids.contains(name))));
    }
    // Docker writes both; the index has the digests.
    for (name, digest) in index.map(|text| oci_names(&text)).transpose()?.unwrap_or_default() {
        images.insert(name, (Some(digest), None));
    }
    if images.is_empty() {
        return Err(ArchiveError::NoNames);
    }
    let named =
        |(name, (digest, id)): (_, (_, Option<_>))| Named { name, digest, id: id.map(|id| format!("sha256:{id}")) };
    Ok(images.into_iter().map(named).collect())
}

/// The digest that a file is named by: DIGEST.json, blobs/sha256/DIGEST or sha256:DIGEST, as Docker, podman and others
/// name configurations.
fn digest_in(path: &[u8]) -> Option<String> {
    let name = str::from_utf8(path).ok()?.rsplit(['/', ':']).next()?;
    let name = name.strip_suffix(".json").unwrap_or(name);
    let is_digest = name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_digest.then(|| name.to_owned())
}

/// Names of images, with the files of their configurations.
fn docker_names(text: &[u8]) -> Result<Vec<(String, String)>, ArchiveError> {
    let images: Vec<DockerImage> = serde_json::from_slice(text)
        .map_err(|source| ArchiveError::Document { name: "manifest.json", source: source.into() })?;
    let named = |image: DockerImage| {
        let names = image.repo_tags.unwrap_or_default();
        names.into_iter().map(move |name| (full_name(&name), image.config.clone()))
    };
    Ok(images.into_iter().flat_map(named).collect())
}

fn oci_names(text: &[u8]) -> Result<Vec<(String, String)>, ArchiveError> {
    let index = ImageIndex::from_reader(text)
        .map_err(|source| ArchiveError::Document { name: "index.json", source: source.into() })?;
    let name = |descriptor: &Descriptor| {
        let annotations = descriptor.annotations().as_ref()?;
        let name = NAMES.iter().find_map(|name| annotations.get(*name))?;
        // A tag alone is no name.
        name.contains(['/', ':']).then(|| (full_name(name), descriptor.digest().to_string()))
    };
    Ok(index.manifests().iter().filter_map(name).collect())
}

/// `busybox:1` is docker.io/library/busybox:1 (github.com/distribution/reference, "familiar" names).
fn full_name(name: &str) -> String {
    match name.split_once('/') {
        None => format!("docker.io/library/{name}"),
        Some((domain, _)) if domain.contains(['.', ':']) || domain == "localhost" => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
    }
}

/// The digest of an image, if `ctr images check` tells that it is complete and unpacked. Its columns are REF, TYPE, DIGEST,
/// STATUS, SIZE and UNPACKED, and a status or a size may have spaces.
fn digest_of<'a>(name: &str, table: &'a str) -> Option<&'a str> {
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.first() == Some(&name))?;
    let is_whole = row.get(3) == Some(&"complete") && row.last() == Some(&"true");
    is_whole.then(|| row[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, content.as_bytes()).expect("appended");
        }
        tar.into_inner().expect("finished")
    }

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn index(annotation: &str, name: &str) -> String {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        serde_json::json!({"schemaVersion": 2, "manifests": [
            {"mediaType": media_type, "size": 1, "digest": DIGEST, "annotations": {annotation: name}},
        ]})
        .to_string()
    }

    #[test]
    fn images_are_named_as_containerd_names_them() {
        let oci = archive(&[("blobs/x", "x"), ("./index.json", &index(NAMES[0], "example.org/a/b:v1"))]);
        let expected = Named { name: "example.org/a/b:v1".to_owned(), digest: Some(DIGEST.to_owned()), id: None };
        assert_eq!(read(oci.as_slice()).expect("read"), [expected]);

        let docker =
            archive(&[("manifest.json", r#"[{"RepoTags":["busybox:1","me/x:2","localhost/y:3"]},{"RepoTags":null}]"#)]);
        let names: Vec<_> = read(docker.as_slice()).expect("read").into_iter().map(|image| image.name).collect();
        assert_eq!(names, ["docker.io/library/busybox:1", "docker.io/me/x:2", "localhost/y:3"]);
    }

    #[test]
    fn what_is_no_archive_of_named_images_is_refused() {
        let error = |bytes: &[u8]| read(bytes).expect_err("refused").to_string();
        assert!(error(b"not a tar file, but longer than nothing").contains("no tar file"));
        assert!(error(&archive(&[("etc/passwd", "root")])).contains("holds no images"));
        assert!(error(&archive(&[("index.json", &index(NAMES[1], "v1"))])).contains("no names"));
        assert!(error(&archive(&[("index.json", "{}")])).contains("index.json is not as it should be"));
        assert!(error(&archive(&[("manifest.json", "[{}]")])).contains("no names"));
    }

    #[test]
    fn an_image_is_there_when_its_digest_is_and_it_is_unpacked() {
        let image = Named { name: "a.b/c:1".to_owned(), digest: Some(DIGEST.to_owned()), id: None };
        let line = |status: &str, unpacked: &str| {
            format!(
                "REF TYPE DIGEST STATUS SIZE UNPACKED\na.b/c:1 application/x {DIGEST} {status} (3/3) 1.0 MiB/1.0 MiB {unpacked}\n"
            )
        };
        let is_in = |image: &Named, table: &str| image.is_in(table, |_| unreachable!("its digest is known"));
        assert!(is_in(&image, &line("complete", "true")));
        assert!(!is_in(&image, &line("incomplete", "true")));
        assert!(!is_in(&image, &line("complete", "false")));
        assert!(!is_in(&Named { name: "a.b/c:2".to_owned(), ..image }, &line("complete", "true")));
    }

    #[test]
    fn an_image_without_a_manifest_is_there_when_its_configuration_is() {
        let hex = DIGEST.trim_start_matches("sha256:");
        for config in [format!("{hex}.json"), format!("blobs/sha256/{hex}"), DIGEST.to_owned()] {
            let list = format!(r#"[{{"Config":"{config}","RepoTags":["a.b/c:1"]}}]"#);
            let read_with = |content: &str| {
                let docker = archive(&[("manifest.json", &list), (&config, content)]);
                read(docker.as_slice()).expect("read").remove(0)
            };
            let is_in = |image: &Named, id: &str| {
                let table = "a.b/c:1 type sha256:1 complete (2/2) 1.0 MiB/1.0 MiB true";
                image.is_in(table, |digest| {
                    assert_eq!(digest, "sha256:1");
                    let media_type = "application/vnd.docker.container.image.v1+json";
                    let config = serde_json::json!({"mediaType": media_type, "size": 1, "digest": id});
                    Some(serde_json::json!({"schemaVersion": 2, "config": config, "layers": []}).to_string().into())
                })
            };
            // DIGEST is that of nothing.
            assert!(is_in(&read_with(""), DIGEST), "{config}");
            assert!(!is_in(&read_with(""), &DIGEST.replace('e', "f")), "{config}");
            assert!(!is_in(&read_with("something else"), DIGEST), "{config}");
        }
    }
}
