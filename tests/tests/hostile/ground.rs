//! A host that a hostile case may try to change, and the look whether it did.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use nix::mount::{MsFlags, mount};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;
use tests::bin;
use walkdir::WalkDir;

/// Files outside of the state directory that hostile input names.
const CANARIES: [&str; 4] = ["passwd", "meta.db", "etc/authorized_keys", "netns"];

/// A directory with the programs' state directory, and beside it what they must not touch.
pub(crate) struct Ground {
    dir: TempDir,
    before: Vec<String>,
}

impl Ground {
    /// Run `test` on a host of its own, on which all but the ground is read-only.
    pub(crate) fn with(test: impl FnOnce(&Ground) + Send) {
        for program in ["cnispawn", "nodectl", "clusterctl"] {
            bin(program);
        }
        // Namespaces belong to a thread, and end with it.
        let run = || {
            let dir = tempfile::tempdir().expect("a directory");
            tests::isolate();
            let bind = |source: Option<&Path>, target: &Path, flags: MsFlags| {
                mount(source, target, None::<&str>, flags, None::<&str>).expect("mounted");
            };
            bind(Some(dir.path()), dir.path(), MsFlags::MS_BIND);
            bind(None, Path::new("/"), MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY);
            let mut ground = Ground { dir, before: Vec::new() };
            for canary in CANARIES.map(|name| ground.outside().join(name)) {
                fs::create_dir_all(canary.parent().expect("a parent")).expect("made");
                fs::write(canary, "as it was\n").expect("written");
            }
            ground.before = ground.look();
            test(&ground);
            ground.assert_unchanged();
            nix::mount::umount2(ground.dir.path(), nix::mount::MntFlags::MNT_DETACH).expect("unmounted");
            bind(None, Path::new("/"), MsFlags::MS_BIND | MsFlags::MS_REMOUNT);
        };
        thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.path("outside")
    }

    /// Remove what earlier cases have left in the state and run directories.
    pub(crate) fn clear(&self) {
        for dir in ["state", "run"] {
            let _ = fs::remove_dir_all(self.path(dir));
        }
    }

    /// One of the programs with its directories here.
    pub(crate) fn program(&self, name: &str, words: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(bin(name));
        command.args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (variable, dir) in [("STATE_DIR", "state"), ("RUN_DIR", "run")] {
            command.env(format!("KUBEADM_SYSTEMD_{variable}"), self.path(dir));
            command.env(format!("CNISPAWN_{variable}"), self.path(dir));
        }
        command.env("CNISPAWN_CACHE_DIR", self.path("state/cni")).env("HOME", self.path("run"));
        command
    }

    /// Run it on `input`; what it printed, if it took it. It must end by itself, with one error or none.
    pub(crate) fn judge(&self, command: &mut Command, input: &[u8]) -> Option<String> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // It may refuse before it has read all.
        let _ = child.stdin.take().expect("piped").write_all(input);
        let output = child.wait_with_output().expect("it ends");
        let [said, errors] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let told = format!("{command:?}: {}\n{}\n{errors}", output.status, String::from_utf8_lossy(input));
        assert!(!errors.contains("panicked") && !errors.contains("Read-only file system"), "{told}");
        let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        assert!(!errors.contains(obeyed), "a terminal would obey: {told:?}");
        self.assert_unchanged();
        match output.status.code() {
            Some(0) => Some(said),
            // A usage error is clap's.
            Some(1 | 2) => {
                assert!(said.is_empty(), "it failed and printed data: {told}");
                assert!(!errors.is_empty(), "it failed and said nothing: {told}");
                None
            }
            _ => panic!("it did not end by itself: {told}"),
        }
    }

    /// Every file beside the state and run directories.
    fn look(&self) -> Vec<String> {
        let entries = WalkDir::new(self.outside()).sort_by_file_name().into_iter().map(|entry| entry.expect("read"));
        let look = |entry: walkdir::DirEntry| {
            let file = entry.path().symlink_metadata().expect("there");
            let times = (file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec());
            format!("{} {:o} {} {} {times:?}", entry.path().display(), file.mode(), file.ino(), file.len())
        };
        entries.map(look).collect()
    }

    pub(crate) fn assert_unchanged(&self) {
        assert_eq!(self.look(), self.before, "something outside was written, removed or changed");
        let beside: Vec<_> =
            fs::read_dir(self.dir.path()).expect("there").flatten().map(|entry| entry.file_name()).collect();
        let known = ["state", "run", "outside", "work"];
        assert!(beside.iter().all(|name| known.iter().any(|known| name == known)), "new beside it: {beside:?}");
    }
}

/// Try `cases` of what `strategy` makes.
pub(crate) fn try_all<S: Strategy>(cases: u32, strategy: S, mut test: impl FnMut(S::Value)) {
    // A failure is told with its input, shrunk; the next run need not remember it.
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let test = std::cell::RefCell::new(&mut test);
    let result = TestRunner::new(config).run(&strategy, |value| {
        test.borrow_mut()(value);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Print past the test harness, which keeps what a test prints to itself.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
