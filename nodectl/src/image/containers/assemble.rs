//! Put a container image together by its recipe.

use std::path::{Path, PathBuf};

use foundation::files::FileError;

use super::debian::{self, DebianError};
use super::layer::{self, Entry, Layer};
use super::oci::{self, Image, OciError};
use super::recipe::Recipe;
use crate::image::arch::arch;
use crate::image::context::Context;
use crate::image::digest::{self, Key};
use crate::image::programs::program::Programs;
use crate::image::root::base::Base;
use crate::tree;

/// An image could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// Its archive could not be written.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// It lacks something of Debian.
    #[error(transparent)]
    Debian(#[from] DebianError),
    /// A file that goes into it could not be read, or the archive not be kept.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no recipe, or a program of it is not there.
    #[error("kubeadm wants the image {reference}, and this version of nodectl does not know how to build it")]
    Unknown {
        /// The image.
        reference: String,
    },
}

/// What images are made from.
pub(crate) struct Ingredients<'a> {
    /// Compiled programs.
    pub(crate) programs: &'a Programs,
    /// A Debian tree with the packages of the recipes.
    pub(crate) base: &'a Base,
    /// Kubernetes' test/images, for recipes that have files of it.
    pub(crate) source: &'a Path,
}

/// An image's archive.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    /// The image's name and tag.
    pub(crate) reference: String,
    /// The archive.
    pub(crate) path: PathBuf,
    /// Digest of all that went into it.
    pub(crate) key: String,
}

/// Users and groups where a recipe has none of its own.
const USERS: [(&str, &str); 2] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
];

/// The archive of `reference`, made by `recipe` unless the cache has it.
pub(crate) fn build(
    cx: &Context,
    reference: &str,
    recipe: Option<&Recipe>,
    from: &Ingredients<'_>,
) -> Result<Archive, AssembleError> {
    let unknown = || AssembleError::Unknown { reference: reference.to_owned() };
    let recipe = recipe.ok_or_else(unknown)?;
    if !recipe.built().all(|program| from.programs.contains_key(program)) {
        return Err(unknown());
    }
    let key = key(reference, recipe, from)?;
    let name = reference.rsplit('/').next().and_then(|last| last.split(':').next()).unwrap_or_default();
    let path = cx.cached("oci", &format!("{name}-{key}.tar"));
    if !path.is_file() {
        cx.progress.stage(&format!("assemble image {reference}"), |_| {
            let image = Image {
                reference: reference.to_owned(),
                entrypoint: recipe.entrypoint.to_owned(),
                command: recipe.command.iter().map(|&word| word.to_owned()).collect(),
                user: recipe.user.to_owned(),
                layer: content(recipe, from)?,
            };
            let half = cx.building.join(format!("{name}.tar"));
            oci::write(&image, &half)?;
            cx.keep(&half, &path)?;
            Ok::<_, AssembleError>(())
        })?;
    }
    Ok(Archive { reference: reference.to_owned(), path, key })
}

/// Digest of all that goes into the image. Single files count by their content: an update of Debian that leaves the
/// authorities' certificates alone leaves the images of static programs alone.
fn key(reference: &str, recipe: &Recipe, from: &Ingredients<'_>) -> Result<String, FileError> {
    let mut key = Key::new("image 1").with("reference", reference).with("arch", arch());
    key = key.with("recipe", format!("{recipe:?}"));
    for program in recipe.built() {
        key = key.with(program, &from.programs[program].key);
    }
    if recipe.has_debians_programs() {
        key = key.with("base", &from.base.key);
    }
    let tree = &from.base.tree;
    let data = recipe.data.iter().map(|path| Ok((path, tree::resolve(tree, Path::new(path))?)));
    let files = recipe.files.iter().map(|(path, _)| Ok((path, from.source.join(path))));
    for file in data.chain(files) {
        let (name, path) = file?;
        key = key.with(name, digest::sha256_file(&path).map_err(FileError::of("read", &path))?);
    }
    Ok(key.finish())
}

fn content(recipe: &Recipe, from: &Ingredients<'_>) -> Result<Layer, DebianError> {
    let mut layer = Layer::new();
    layer::add(&mut layer, "tmp", Entry::Directory(0o1777));
    layer::add(&mut layer, "root", Entry::Directory(0o700));
    layer::add(&mut layer, "etc/nsswitch.conf", Entry::Text("hosts: files dns\n".to_owned()));
    for (path, text) in USERS.iter().chain(recipe.texts) {
        layer::add(&mut layer, *path, Entry::Text((*text).to_owned()));
    }
    for (path, target) in recipe.links {
        layer::add(&mut layer, *path, Entry::Link((*target).into()));
    }
    for path in recipe.directories {
        layer::add(&mut layer, *path, Entry::Directory(0o1777));
    }
    debian::add(&mut layer, recipe, &from.base.tree)?;
    for (path, target) in recipe.files {
        layer::add(&mut layer, *target, Entry::File(from.source.join(path)));
    }
    for (program, target) in recipe.programs {
        layer::add(&mut layer, *target, Entry::File(from.programs[program].path.clone()));
    }
    if let Some((program, target)) = recipe.setuid {
        layer::add(&mut layer, target, Entry::Setuid(from.programs[program].path.clone()));
    }
    Ok(layer)
}
