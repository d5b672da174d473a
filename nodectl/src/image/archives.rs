//! The images of Kubernetes, put together from static programs: which files each one has.

use std::path::{Path, PathBuf};
use std::process::Command;

use foundation::command::{self, CommandError};
use foundation::files::FileError;

use super::base::Base;
use super::digest::Key;
use super::layer::{self, Entry, Layer};
use super::oci::{self, Image, OciError};
use super::wanted::Reference;
use super::{Context, Programs};
use crate::tree;

/// Programs that kube-proxy runs, in each of its modes.
const PROXY_TOOLS: [&str; 4] = ["nft", "conntrack", "xtables-nft-multi", "xtables-legacy-multi"];

/// Names under which kube-proxy runs the nft variant of iptables.
const IPTABLES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// /usr-merge: programs are linked against /lib64/ld-linux-x86-64.so.2, whose real place is below /usr.
const USR_MERGE: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Why an image could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum ArchivesError {
    /// Its archive could not be written.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// The libraries of a program could not be listed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nobody knows what belongs into it.
    #[error("kubeadm wants the image {reference}, and this version of nodectl does not know how to build it")]
    Unknown {
        /// The image.
        reference: String,
    },
}

/// An image's archive.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The image's name and tag.
    pub reference: String,
    /// The archive.
    pub path: PathBuf,
    /// Digest of all that went into it.
    pub key: String,
}

/// What is in an image besides what all have.
struct Recipe {
    programs: &'static [(&'static str, &'static str)],
    certificates: bool,
    proxy_tools: bool,
}

fn recipe(name: &str) -> Option<Recipe> {
    let plain = |programs| Recipe { programs, certificates: true, proxy_tools: false };
    Some(match name {
        "kube-apiserver" => plain(&[("kube-apiserver", "usr/local/bin/kube-apiserver")]),
        "kube-controller-manager" => plain(&[("kube-controller-manager", "usr/local/bin/kube-controller-manager")]),
        "kube-scheduler" => plain(&[("kube-scheduler", "usr/local/bin/kube-scheduler")]),
        "kube-proxy" => Recipe { proxy_tools: true, ..plain(&[("kube-proxy", "usr/local/bin/kube-proxy")]) },
        "etcd" => plain(&[("etcd", "usr/local/bin/etcd"), ("etcdctl", "usr/local/bin/etcdctl")]),
        "coredns" => plain(&[("coredns", "coredns")]),
        "pause" => Recipe { certificates: false, ..plain(&[("pause", "pause")]) },
        _ => return None,
    })
}

/// The archive of `reference`, put together unless it is there.
///
/// # Errors
/// When it is no image that we know, or a file cannot be read or written.
pub fn build(cx: &Context, reference: &Reference, programs: &Programs, base: &Base) -> Result<Archive, ArchivesError> {
    let unknown = || ArchivesError::Unknown { reference: reference.full.clone() };
    let recipe = recipe(&reference.name).ok_or_else(unknown)?;
    let mut key = Key::new("oci 2").with("reference", &reference.full).with("arch", super::arch());
    for (program, _) in recipe.programs {
        key = key.with(program, &programs.get(program).ok_or_else(unknown)?.key);
    }
    if recipe.certificates || recipe.proxy_tools {
        key = key.with("base", &base.key);
    }
    let key = key.finish();
    let path = cx.cached("oci", &format!("{}-{key}.tar", reference.name));
    if !path.is_file() {
        cx.progress.stage(&format!("assemble image {}", reference.full), |_| {
            let layer = layer(&recipe, programs, base)?;
            let entrypoint = format!("/{}", recipe.programs[0].1);
            let half = cx.building.join(format!("{}.tar", reference.name));
            let image = Image { reference: reference.full.clone(), entrypoint, layer, ..Image::default() };
            oci::write(&image, &half)?;
            cx.keep(&half, &path)?;
            Ok::<_, ArchivesError>(())
        })?;
    }
    Ok(Archive { reference: reference.full.clone(), path, key })
}

fn layer(recipe: &Recipe, programs: &Programs, base: &Base) -> Result<Layer, ArchivesError> {
    let mut layer = Layer::new();
    for (program, target) in recipe.programs {
        layer::add(&mut layer, *target, Entry::File(programs[program].path.clone()));
    }
    layer::add(&mut layer, "tmp", Entry::Directory(0o1777));
    let users = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
    layer::add(&mut layer, "etc/passwd", Entry::Text(users.to_owned()));
    layer::add(&mut layer, "etc/group", Entry::Text("root:x:0:\nnonroot:x:65532:\n".to_owned()));
    layer::add(&mut layer, "etc/nsswitch.conf", Entry::Text("hosts: files dns\n".to_owned()));
    if recipe.certificates {
        let bundle = "etc/ssl/certs/ca-certificates.crt";
        layer::add(&mut layer, bundle, Entry::File(tree::resolve(&base.tree, Path::new(bundle))?));
    }
    if recipe.proxy_tools {
        add_proxy_tools(&mut layer, &base.tree)?;
    }
    Ok(layer)
}

/// Add the programs that kube-proxy runs, from the node's own base system, with the libraries that they load.
fn add_proxy_tools(layer: &mut Layer, tree: &Path) -> Result<(), ArchivesError> {
    for name in IPTABLES {
        layer::add(layer, Path::new("usr/sbin").join(name), Entry::Link("xtables-nft-multi".into()));
    }
    let mut files: Vec<PathBuf> = PROXY_TOOLS.iter().map(|tool| Path::new("usr/sbin").join(tool)).collect();
    let plugins = plugins(tree)?;
    files.extend(plugins);
    add_programs(layer, tree, files)?;
    let protocols = Path::new("etc/protocols");
    layer::add(layer, protocols, Entry::File(tree::resolve(tree, protocols)?));
    Ok(())
}

/// Add programs of a Debian tree, with the libraries that they load.
pub(super) fn add_programs(layer: &mut Layer, tree: &Path, mut files: Vec<PathBuf>) -> Result<(), ArchivesError> {
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

/// What iptables loads by dlopen(3): `usr/lib/TRIPLET/xtables/*.so`.
fn plugins(tree: &Path) -> Result<Vec<PathBuf>, FileError> {
    let lib = Path::new("usr/lib");
    let mut plugins = Vec::new();
    for triplet in foundation::files::names_in(&tree.join(lib))? {
        let dir = lib.join(triplet).join("xtables");
        if tree.join(&dir).is_dir() {
            let names = foundation::files::names_in(&tree.join(&dir))?;
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

    #[test]
    fn every_image_that_kubeadm_wants_has_a_recipe_with_a_program() {
        for name in
            ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "coredns", "pause"]
        {
            assert!(!recipe(name).expect(name).programs.is_empty());
        }
        assert!(recipe("konnectivity").is_none());
    }
}
