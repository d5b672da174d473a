//! Find a plugin's program, and check that the kernel would execute it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::failure::PluginError;

/// The path of a plugin in the first of the directories that has it.
pub(super) fn find(dirs: &[PathBuf], name: &str) -> Result<PathBuf, PluginError> {
    // An empty part of CNI_PATH is not a directory, and a name with a slash would lead elsewhere.
    let dirs_with_name = dirs.iter().filter(|dir| !dir.as_os_str().is_empty() && !name.contains('/'));
    let found = dirs_with_name.map(|dir| dir.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| PluginError::NotFound { name: name.to_owned(), dirs: dirs.to_owned() })
}

/// Find a plugin, and check that the kernel would execute it. Without this check, networks would be half-made when it
/// turns out that this plugin's ADD cannot be executed, and no more can its DEL.
pub(super) fn check(dirs: &[PathBuf], name: &str) -> Result<(), PluginError> {
    let path = find(dirs, name)?;
    check_file(&path).map_err(|source| PluginError::Execute { path, source })
}

/// What execve(2) would say of a program's file.
fn check_file(path: &Path) -> io::Result<()> {
    access(path, AccessFlags::X_OK)?;
    let mut start = Vec::new();
    // The kernel reads no more of a script's first line.
    File::open(path)?.take(256).read_to_end(&mut start)?;
    if start.is_empty() {
        return Err(io::Error::other("it is empty"));
    }
    let line = start.strip_prefix(b"#!").and_then(|rest| rest.split(|&byte| byte == b'\n').next());
    let mut words = line.unwrap_or_default().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let interpreter = words.next().map(|word| Path::new(OsStr::from_bytes(word)));
    match interpreter.filter(|interpreter| !interpreter.exists()) {
        // execve(2) says ENOENT, which reads as if the plugin were missing.
        Some(missing) => Err(io::Error::other(format!("its interpreter {} is missing", missing.display()))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_the_kernel_would_not_execute_is_told_before_it_is_asked_to() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let dirs = [dir.path().to_owned()];
        let path = dir.path().join("x");
        for (content, mode, why) in [
            ("#!/bin/sh", 0o755, None),
            ("\x7fELF", 0o755, None),
            ("#!/bin/sh", 0o644, Some("Permission denied")),
            ("", 0o755, Some("it is empty")),
            ("#! /no/sh -e\nx", 0o755, Some("its interpreter /no/sh is missing")),
        ] {
            fs::write(&path, content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            let told = check(&dirs, "x").err().map(|error| foundation::error_chain(&error));
            assert_eq!(told.is_some(), why.is_some(), "{told:?}");
            assert!(told.unwrap_or_default().contains(why.unwrap_or_default()), "{content:?}");
        }
        Ok(())
    }

    #[test]
    fn a_missing_plugin_is_told_with_where_it_was_looked_for() {
        let text = find(&["/nowhere".into(), "/else".into()], "bridge").expect_err("missing").to_string();
        assert!(text.starts_with("CNI plugin \"bridge\" not found in /nowhere, /else; install"), "{text}");
        find(&["/".into()], "../etc/passwd").expect_err("not a name");
    }
}
