//! Put the suite's images together.

use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command;
use foundation::files::FileError;
use foundation::record::SuiteImage;

use super::recipes::Recipe;
use crate::image::archives::{self, ArchivesError};
use crate::image::base::Base;
use crate::image::digest::{self, Key};
use crate::image::layer::{self, Entry, Layer};
use crate::image::oci::{self, Image};
use crate::image::{Context, Programs, arch};
use crate::tree;

/// What the images are made from.
pub(super) struct Ingredients<'a> {
    /// Programs that Go has built.
    pub(super) programs: &'a Programs,
    /// Debian, with the packages of the recipes.
    pub(super) base: &'a Base,
    /// Kubernetes' test/images.
    pub(super) source: &'a Path,
}

/// Users and groups where a recipe has none of its own.
const USERS: [(&str, &str); 2] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
];

/// The image `reference`, made unless it is there.
///
/// # Errors
/// When a file of it cannot be read, or the archive cannot be written.
pub(super) fn build(
    cx: &Context,
    reference: &str,
    recipe: &Recipe,
    from: &Ingredients<'_>,
) -> Result<SuiteImage, ArchivesError> {
    let mut key = Key::new("e2e image 2").with("reference", reference).with("arch", arch());
    key = key.with("recipe", format!("{recipe:?}")).with("base", &from.base.key);
    for program in recipe.built() {
        key = key.with(program, &from.programs[program].key);
    }
    for (file, _) in recipe.files {
        let path = from.source.join(file);
        key = key.with(file, digest::sha256_file(&path).map_err(FileError::of("read", &path))?);
    }
    let path = cx.cached("oci", &format!("e2e-{}.tar", key.finish()));
    if !path.is_file() {
        cx.progress.stage(&format!("assemble image {reference}"), |_| {
            let image = Image {
                reference: reference.to_owned(),
                entrypoint: recipe.entrypoint.to_owned(),
                command: recipe.command.iter().map(|&word| word.to_owned()).collect(),
                user: recipe.user.to_owned(),
                layer: content(recipe, from)?,
            };
            let half = cx.building.join("e2e.tar");
            oci::write(&image, &half)?;
            cx.keep(&half, &path)?;
            Ok::<_, ArchivesError>(())
        })?;
    }
    Ok(SuiteImage { image: reference.to_owned(), digest: oci::digest(&path)?, archive: path })
}

fn content(recipe: &Recipe, from: &Ingredients<'_>) -> Result<Layer, ArchivesError> {
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
    let mut tools: Vec<_> = recipe.tools.iter().map(|tool| Path::new("usr").join(tool)).collect();
    if recipe.has_shell {
        add_shell(&mut layer, &from.base.tree)?;
        tools.extend(["usr/bin/bash", "usr/bin/busybox"].map(PathBuf::from));
    }
    if !tools.is_empty() {
        archives::add_programs(&mut layer, &from.base.tree, tools)?;
    }
    for path in recipe.data {
        layer::add(&mut layer, *path, Entry::File(tree::resolve(&from.base.tree, Path::new(path))?));
    }
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

/// Add the names of busybox, and of the shell.
fn add_shell(layer: &mut Layer, tree: &Path) -> Result<(), ArchivesError> {
    let list = command::output(Command::new("chroot").arg(tree).args(["busybox", "--list-full"]))?;
    let applets = String::from_utf8_lossy(&list.stdout).into_owned();
    // `bin/sh` and `usr/bin/[`, of which only the names count: they are all looked for in PATH.
    let names = applets.lines().filter_map(|path| Path::new(path).file_name());
    for name in names.filter(|name| *name != "linuxrc") {
        layer::add(layer, Path::new("usr/bin").join(name), Entry::Link("busybox".into()));
    }
    // Debian's busybox and its dash keep from what they run the variables whose names are not a shell's, as `data-1`,
    // which pods may have.
    layer::add(layer, "usr/bin/sh", Entry::Link("bash".into()));
    Ok(())
}
