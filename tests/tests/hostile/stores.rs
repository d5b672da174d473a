//! Image stores with links in them: nodes are made of clones of them.

use std::fs;
use std::os::unix::fs::symlink;

use nodectl::{clone, tree};
use proptest::prelude::*;
use proptest::sample::select;

use super::ground::{Ground, try_all};

pub(super) const CASES: u32 = 60;

const PATHS: [&str; 8] = [
    "plugin",
    "plugin/meta.db",
    "plugin/copy",
    "plugin/meta.db.copy",
    "other",
    "other/meta.db",
    "other/etc",
    "other/etc/authorized_keys",
];
const TARGETS: [&str; 6] =
    ["OUTSIDE", "OUTSIDE/meta.db", "../../outside", "../../outside/meta.db", "../other", "meta.db"];

#[test]
fn a_clone_and_a_look_into_it_stay_inside() {
    Ground::with(|ground| {
        let places = prop::collection::vec((select(&PATHS[..]), prop::option::of(select(&TARGETS[..]))), 1..9);
        try_all(CASES, places, |places| {
            ground.clear();
            let (store, to) = (ground.path("state/store"), ground.path("state/clone"));
            fs::create_dir_all(&store).expect("made");
            for (path, link) in places {
                let path = store.join(path);
                let parent = path.parent().expect("a parent");
                // What is there already stays; nothing is made through a link.
                if parent.is_symlink() || fs::create_dir_all(parent).is_err() || path.symlink_metadata().is_ok() {
                    continue;
                }
                match link {
                    Some(target) => symlink(target.replace("OUTSIDE", &ground.outside().display().to_string()), &path),
                    None => fs::write(&path, "inside"),
                }
                .expect("made");
            }
            let _ = clone::image_store(&store, &to);
            for path in PATHS {
                if let Ok(real) = tree::resolve(&to, path.as_ref()) {
                    assert!(real.starts_with(&to), "{path} is {}", real.display());
                }
            }
            ground.assert_unchanged();
        });
    });
}
