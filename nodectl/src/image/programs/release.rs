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
    if !release.has_single_files() {
        let what = format!("{} {version}", project.name);
        return into_cache(cx, &what, &url, &release.names(project), |dir, stage| {
            let archive = cx.building.join("archive.tar.gz");
            Client::default().verified(stage, &url, &format!("{url}{}", release.digest), &archive)?;
            Ok(unpack::files(&archive, &release.names(project), dir)?)
        });
    }
    let mut programs = Programs::new();
    for name in names {
        let url = url.replace("{program}", name);
        programs.extend(into_cache(cx, &format!("{name} {version}"), &url, &[name], |dir, stage| {
            Ok(Client::default().verified(stage, &url, &format!("{url}{}", release.digest), &dir.join(name))?)
        })?);
    }
    Ok(programs)
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
