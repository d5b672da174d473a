//! Programs as upstream publishes them, checked against the SHA-256 beside each file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use foundation::files::FileError;

use super::download::{Client, DownloadError};
use super::mirrors::Mirrors;
use super::program::{self, Programs};
use super::project::{Project, Release};
use super::unpack;
use crate::image::context::Context;
use crate::image::digest::Key;
use crate::image::progress::Stage;

/// A release could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A file could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// An archive lacks a program.
    #[error("{url} has no {program} in it")]
    Lacks {
        /// The archive's address.
        url: String,
        /// The program.
        program: &'static str,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Fetch programs of `project`, unless the cache has them: `names` where each is published by itself, else all that its
/// archive has.
pub(super) fn fetch(
    cx: &Context,
    mirrors: &Mirrors,
    project: &Project,
    release: &Release,
    version: &str,
    names: &[&'static str],
) -> Result<Programs, ReleaseError> {
    let url = format!("{}/{version}/{}", mirrors.site(release.site), project.filled(release.file, version));
    let client = Client::default();
    if release.has_single_files() {
        let (what, from) = match names {
            [name] => (*name, url.replace("{program}", name)),
            _ => (project.name, url.trim_end_matches("/{program}").to_owned()),
        };
        return into_cache(cx, &format!("{what} {version}"), &from, names, |dir, stage| {
            names.iter().try_for_each(|name| {
                let url = url.replace("{program}", name);
                Ok(client.verified(stage, &url, &format!("{url}{}", release.digest), &dir.join(name))?)
            })
        });
    }
    let names = release.names(project);
    into_cache(cx, &format!("{} {version}", project.name), &url, &names, |dir, stage| {
        let archive = cx.building.join("archive.tar.gz");
        client.verified(stage, &url, &format!("{url}{}", release.digest), &archive)?;
        Ok(unpack::files(&archive, &names, dir)?)
    })
}

/// Have `get` put the programs `names` of `url` in a directory, which is moved to the cache whole or not at all.
fn into_cache(
    cx: &Context,
    what: &str,
    url: &str,
    names: &[&'static str],
    get: impl FnOnce(&Path, &Stage) -> Result<(), ReleaseError>,
) -> Result<Programs, ReleaseError> {
    let key = Key::new("release 1").with("url", url).with_all("program", names).finish();
    let done = cx.cached("bin", &format!("release/{key}"));
    if !done.is_dir() {
        cx.progress.stage(&format!("fetch {what}"), |stage| {
            let half = cx.building.join("release");
            fs::create_dir_all(&half).map_err(FileError::of("create", &half))?;
            get(&half, stage)?;
            for program in names {
                let set = fs::set_permissions(half.join(program), Permissions::from_mode(0o755));
                set.map_err(|_| ReleaseError::Lacks { url: url.to_owned(), program })?;
            }
            Ok::<_, ReleaseError>(cx.keep(&half, &done)?)
        })?;
    }
    Ok(program::in_dir(names, &done, &key))
}
