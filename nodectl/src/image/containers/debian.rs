//! What a container image has of a Debian tree: programs with the libraries that they load, and a shell.

use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::{self, FileError};

use super::layer::{self, Entry, Layer};
use super::recipe::Recipe;
use crate::tree;

/// Programs are linked against /lib64/ld-linux-x86-64.so.2, whose real place is below /usr (file-hierarchy(7)).
const USR_MERGE: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Files of Debian could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum DebianError {
    /// ldd or busybox failed in the tree.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file is missing, or cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Add all that `recipe` has of `tree`.
pub(super) fn add(layer: &mut Layer, recipe: &Recipe, tree: &Path) -> Result<(), DebianError> {
    let mut programs: Vec<_> = recipe.tools.iter().map(|tool| Path::new("usr").join(tool)).collect();
    if recipe.has_shell {
        add_shell(layer, tree)?;
        programs.extend(["usr/bin/bash", "usr/bin/busybox"].map(PathBuf::from));
    }
    for dir in recipe.plugins {
        programs.extend(plugins(tree, dir)?);
    }
    if !programs.is_empty() {
        add_programs(layer, tree, programs)?;
    }
    for path in recipe.data {
        layer::add(layer, *path, Entry::File(tree::resolve(tree, Path::new(path))?));
    }
    Ok(())
}

/// Add programs with the libraries that they load.
fn add_programs(layer: &mut Layer, tree: &Path, mut files: Vec<PathBuf>) -> Result<(), DebianError> {
    for dir in USR_MERGE {
        layer::add(layer, dir, Entry::Link(Path::new("usr").join(dir)));
    }
    let mut ldd = Command::new("chroot");
    ldd.arg(tree).arg("ldd").args(files.iter().map(|file| Path::new("/").join(file)));
    let output = command::output(ldd.env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin"))?;
    files.extend(libraries(&String::from_utf8_lossy(&output.stdout)));
    for file in files {
        let real = tree::resolve(tree, &file)?;
        layer::add(layer, file, Entry::File(real));
    }
    Ok(())
}

/// Add the names of busybox's programs, and of the shell.
fn add_shell(layer: &mut Layer, tree: &Path) -> Result<(), DebianError> {
    let list = command::output(Command::new("chroot").arg(tree).args(["busybox", "--list-full"]))?;
    let applets = String::from_utf8_lossy(&list.stdout).into_owned();
    // `bin/sh` and `usr/bin/[`: only the names count, for all are looked up in PATH.
    let names = applets.lines().filter_map(|path| Path::new(path).file_name());
    for name in names.filter(|name| *name != "linuxrc") {
        layer::add(layer, Path::new("usr/bin").join(name), Entry::Link("busybox".into()));
    }
    // Debian's busybox and dash drop environment variables whose names are not valid in a shell, such as `data-1`, which
    // pods may have.
    layer::add(layer, "usr/bin/sh", Entry::Link("bash".into()));
    Ok(())
}

/// The libraries in `usr/lib/TRIPLET/DIR`, which are loaded by dlopen(3).
fn plugins(tree: &Path, dir: &str) -> Result<Vec<PathBuf>, FileError> {
    let lib = Path::new("usr/lib");
    let mut plugins = Vec::new();
    for triplet in files::names_in(&tree.join(lib))? {
        let dir = lib.join(triplet).join(dir);
        if tree.join(&dir).is_dir() {
            let names = files::names_in(&tree.join(&dir))?;
            plugins.extend(names.iter().filter(|name| name.ends_with(".so")).map(|name| dir.join(name)));
        }
    }
    Ok(plugins)
}

/// Libraries in what ldd(1) prints, without the leading slash and below usr: `libm.so.6 => /lib/.../libm.so.6 (0x...)`.
fn libraries(ldd: &str) -> Vec<PathBuf> {
    // The lines that end in a colon name the programs themselves.
    let path = |line: &str| {
        let path = line.split_whitespace().find(|word| word.starts_with('/'))?;
        let path = Path::new(path).strip_prefix("/").ok()?;
        Some(if path.starts_with("usr") { path.to_owned() } else { Path::new("usr").join(path) })
    };
    let mut paths: Vec<_> = ldd.lines().filter(|line| !line.ends_with(':')).filter_map(path).collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_taken_from_ldds_output_once_and_below_usr() {
        let text = "/usr/sbin/nft:\n\tlinux-vdso.so.1 (0x7f)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x7f)\n/usr/sbin/conntrack:\n\tlibc.so.6 => /usr/lib/x86_64-linux-gnu/libc.so.6 (0x7f)\n";
        assert_eq!(
            libraries(text),
            [Path::new("usr/lib/x86_64-linux-gnu/libc.so.6"), Path::new("usr/lib64/ld-linux-x86-64.so.2")]
        );
    }
}
