//! A host on which a case runs, with one tool and then with the other, each time as if nothing had been before.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::Value;

use super::case::{Behaviour, Case, NETNS, PLUGINS};
use super::seen::{self, Seen};
use super::tools::{Programs, Tool};

/// The namespace itself, mounted here all the time.
const KEPT: &str = "/run/netns/kept";
/// cnitool's cache, which cannot be moved; ours is at the same place by default.
const CACHE: &str = "/var/lib/cni";

/// A thread's own host.
pub(crate) struct Host<'p> {
    programs: &'p Programs,
    dir: tempfile::TempDir,
}

impl<'p> Host<'p> {
    /// Make the calling thread a host of its own.
    pub(crate) fn new(programs: &'p Programs) -> Self {
        tests::isolate();
        let made = Command::new("ip").args(["netns", "add", "kept"]).status().expect("ip runs");
        assert!(made.success(), "a network namespace is made");
        fs::create_dir_all(CACHE).expect("created");
        mount(Some("tmpfs"), CACHE, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("a tmpfs");
        Host { programs, dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// All steps of a case by one tool, and what was seen after each.
    pub(crate) fn run(&self, tool: Tool, case: &Case) -> Vec<Seen> {
        self.prepare(case);
        let mut env = case.env.iter().map(|(&name, value)| (name, self.filled(value))).collect::<Vec<_>>();
        let seen = case.steps.iter().map(|step| self.step(tool, case, step, &mut env)).collect();
        lose_netns();
        seen
    }

    /// One step: a verb, or what happens to the host between verbs.
    fn step(&self, tool: Tool, case: &Case, step: &str, env: &mut Vec<(&str, String)>) -> Seen {
        match step {
            "lose-netns" => lose_netns(),
            "forget-env" => env.clear(),
            "second-interface" => env.push(("CNI_IFNAME", "net1".to_owned())),
            "lose-plugins" => fs::remove_dir_all(self.path("bin")).expect("removed"),
            "damage-cache" => rewrite_cache(|_| "{".to_owned()),
            // As libcni kept it once.
            "bare-cache" => rewrite_cache(|content| content["result"].to_string()),
            "refused" => {}
            step => match step.strip_prefix("version-") {
                Some(version) => self.rewrite_version(case, version),
                None => return self.verb(tool, case, step, env),
            },
        }
        Seen { cache: seen::read_cache(&Path::new(CACHE).join("results")), ..Seen::default() }
    }

    /// A verb: of the tool or, as `their-VERB`, of cnitool in any case; on the case's network or, as `VERB:NET`, on
    /// another.
    fn verb(&self, tool: Tool, case: &Case, verb: &str, env: &[(&str, String)]) -> Seen {
        let (tool, verb) = verb.strip_prefix("their-").map_or((tool, verb), |verb| (Tool::Cnitool, verb));
        let (verb, network) = verb.split_once(':').unwrap_or((verb, &case.network));
        let mut command = self.programs.command(tool, verb, network, case.netns);
        // The working directory of a relative NETNS.
        command.current_dir("/run");
        command.env("NETCONFPATH", self.path("net.d")).env("CNI_PATH", self.path("bin"));
        command.env("CNISPAWN_STATE_DIR", self.path("state")).env("CNISPAWN_RUN_DIR", self.path("run"));
        let output = command.envs(env.iter().cloned()).output().expect("runs");
        seen::after(&output, &self.path("log"), Path::new(CACHE), Path::new(NETNS))
    }

    /// The configuration of another version, while what was added by the first is there.
    fn rewrite_version(&self, case: &Case, version: &str) {
        for (name, text) in &case.files {
            let mut list: Value = serde_json::from_str(&self.filled(text)).expect("JSON");
            list["cniVersion"] = version.into();
            fs::write(self.path("net.d").join(name), list.to_string()).expect("written");
        }
    }

    fn prepare(&self, case: &Case) {
        for dir in [self.dir.path(), Path::new(CACHE)] {
            for entry in fs::read_dir(dir).expect("readable").flatten() {
                if entry.path().is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
                    .expect("removed");
            }
        }
        for dir in ["net.d", "bin", "noop", "log", "debug", "script"] {
            fs::create_dir(self.path(dir)).expect("created");
        }
        symlink(&self.programs.noop, self.path("noop/noop")).expect("linked");
        // The recorder finds the case's files by the path that it is executed by.
        for plugin in PLUGINS {
            symlink(&self.programs.recorder, self.path("bin").join(plugin)).expect("linked");
        }
        fs::write(self.path("bin/plain"), "not executable").expect("written");
        fs::write(self.path("bin/garbage"), "no program").expect("written");
        fs::set_permissions(self.path("bin/garbage"), Permissions::from_mode(0o755)).expect("executable");
        fs::create_dir(self.path("bin/folder")).expect("created");
        fs::write(self.path("log/0.stdin"), "").expect("written");
        for (name, text) in &case.files {
            let path = self.path("net.d").join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("created");
            fs::write(path, self.filled(text)).expect("written");
        }
        for (name, behaviour) in &case.behaviours {
            let (dir, text) = match behaviour {
                Behaviour::Noop(debug) => ("debug", debug.to_string()),
                Behaviour::Script(script) => ("script", (*script).to_owned()),
            };
            fs::write(self.path(dir).join(name), text).expect("written");
        }
        fs::write(NETNS, "").expect("written");
        mount(Some(KEPT), NETNS, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("mounted");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn filled(&self, text: &str) -> String {
        text.replace('@', &self.dir.path().to_string_lossy())
    }
}

/// As when the container has ended: the path is gone. Twice is as good as once.
fn lose_netns() {
    if Path::new(NETNS).exists() {
        umount2(NETNS, MntFlags::MNT_DETACH).expect("unmounted");
        fs::remove_file(NETNS).expect("removed");
    }
}

fn rewrite_cache(change: impl Fn(&Value) -> String) {
    for file in fs::read_dir(Path::new(CACHE).join("results")).into_iter().flatten().flatten() {
        let content = serde_json::from_slice(&fs::read(file.path()).expect("readable")).expect("JSON");
        fs::write(file.path(), change(&content)).expect("written");
    }
}
