//! `nodectl build` on the real machine: repeated, from a stand-in for upstream, killed, beside another build, refused.
//!
//! The image under test is the one that all tests use; a cold build of it takes a quarter of an hour.

#[path = "build/upstream.rs"]
mod upstream;

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use foundation::record::{ImageRecord, SuiteRecord};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tests::bin;
use upstream::Upstream;

/// A state directory with nothing but the base system of the image under test, and the date of it: mmdebstrap need not
/// run again, and no mirror is asked.
struct Fixture {
    image: ImageRecord,
    state: TempDir,
    run: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let image = tests::node::image();
        // STATE/images/NAME/GENERATION
        let shared = image.path.ancestors().nth(3).expect("an image lies in a state directory");
        let state = tempfile::Builder::new().prefix("test-").tempdir_in(shared).expect("a directory");
        fs::create_dir(state.path().join("cache")).expect("made");
        let mut cp = Command::new("cp");
        cp.args(["--archive", "--link"]).args(["base", "debian.json"].map(|name| shared.join("cache").join(name)));
        cp.arg(state.path().join("cache"));
        assert!(cp.status().expect("cp runs").success());
        Fixture { image, state, run: tempfile::tempdir().expect("a directory") }
    }

    fn upstream(&self) -> Upstream {
        Upstream::serve(&self.image.path.join("rootfs"), &self.image.kubernetes, &self.references())
    }

    /// The images that kubeadm wants.
    fn references(&self) -> Vec<String> {
        let mut kubeadm = Command::new(self.image.path.join("rootfs/usr/bin/kubeadm"));
        kubeadm.args(["config", "images", "list", "--kubernetes-version", &self.image.kubernetes]);
        let output = kubeadm.output().expect("kubeadm runs");
        String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
    }

    fn nodectl(&self, words: &[&str]) -> Command {
        let mut nodectl = Command::new(bin("nodectl"));
        nodectl.args(words).env("KUBEADM_SYSTEMD_STATE_DIR", self.state.path());
        nodectl.env("KUBEADM_SYSTEMD_RUN_DIR", self.run.path()).stdin(Stdio::null());
        nodectl
    }

    fn release(&self, upstream: &Upstream) -> Command {
        let mut nodectl = self.nodectl(&["build", "--kubernetes", &format!("release:{}", self.image.kubernetes)]);
        nodectl.envs(upstream.environment());
        nodectl
    }

    fn record_path(&self) -> PathBuf {
        self.state.path().join("images/default/image.json")
    }

    /// Nothing unfinished is left, and nothing that runs or is mounted.
    fn assert_clean(&self) {
        assert!(!self.state.path().join("building").exists(), "half-made things are gone");
        assert!(!self.run.path().join("build").exists(), "sockets are gone");
        self.wait_ended();
    }

    /// Wait until no process is left that names our directories in its arguments, or has a mount in them.
    fn wait_ended(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let left = self.processes()
            && !left.is_empty()
        {
            assert!(Instant::now() < deadline, "still there: {left:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn processes(&self) -> Vec<String> {
        let ours = [self.state.path(), self.run.path()].map(|path| path.display().to_string());
        let said = |process: &Path, file: &str| fs::read(process.join(file)).unwrap_or_default();
        let processes = fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path());
        let command = |process: PathBuf| {
            let command = String::from_utf8_lossy(&said(&process, "cmdline")).replace('\0', " ");
            let mounts = String::from_utf8_lossy(&said(&process, "mountinfo")).into_owned();
            ours.iter().any(|path| command.contains(path) || mounts.contains(path)).then_some(command)
        };
        processes.filter_map(command).collect()
    }
}

fn record(output: &Output) -> ImageRecord {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("an image record")
}

fn refused(command: &mut Command, code: i32) -> String {
    let output = command.output().expect("nodectl runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(output.stdout.is_empty(), "no record");
    error
}

/// Read the standard error of `child` until it has said `what`.
fn wait_for(child: &mut Child, what: &str) {
    let mut said = Vec::new();
    let mut stderr = child.stderr.take().expect("piped");
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains(what) {
        assert_eq!(stderr.read(&mut byte).expect("read"), 1, "{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    // Keep reading, or it would block on a full pipe.
    thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
}

#[test]
fn with_nothing_changed_a_build_prints_the_same_record_at_once() {
    let first = tests::node::image();
    let inode = |record: &ImageRecord| fs::metadata(&record.path).expect("there").ino();
    let before = inode(&first);
    let started = Instant::now();
    let second = tests::node::image();
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!((&first, before), (&second, inode(&second)));
}

#[test]
fn a_malformed_source_is_a_usage_error_and_a_directory_without_kubernetes_a_failure() {
    let fixture = Fixture::new();
    for (source, why) in [
        ("v1.37.2", "use auto:VERSION, release:VERSION, go:VERSION or dir:PATH"),
        ("go:1.37.2", "is not a version of Kubernetes; write it like v1."),
        ("release:v1.37.2/..", "is not a version of Kubernetes"),
        ("dir:", "needs the path of a Kubernetes checkout"),
    ] {
        let error = refused(&mut fixture.nodectl(&["build", "--kubernetes", source]), 2);
        assert!(error.contains(why), "{error}");
    }
    let dir = format!("dir:{}", fixture.run.path().display());
    let error = refused(&mut fixture.nodectl(&["build", "--kubernetes", &dir]), 1);
    assert!(error.contains("is no checkout of Kubernetes: it has no go.mod"), "{error}");
    let error = refused(&mut fixture.nodectl(&["build", "--kubernetes", "dir:/no/such/place"]), 1);
    assert!(error.contains("cannot find /no/such/place: No such file"), "{error}");
}

#[test]
fn all_missing_tools_are_named_at_once() {
    let fixture = Fixture::new();
    let mut nodectl = fixture.nodectl(&["build", "--kubernetes", "go:v1.37.2"]);
    let error = refused(nodectl.env("PATH", fixture.run.path()), 1);
    assert!(
        error.contains(
            "needs cp, chroot, unshare, mmdebstrap, go, cc: install coreutils util-linux mmdebstrap golang-go gcc"
        ),
        "{error}"
    );
}

#[test]
fn a_release_is_fetched_once_and_has_the_images_that_kubeadm_wants() {
    let fixture = Fixture::new();
    let upstream = fixture.upstream();
    let first = record(&fixture.release(&upstream).stderr(Stdio::inherit()).output().expect("nodectl runs"));
    assert_eq!(first.kubernetes, fixture.image.kubernetes);
    assert_eq!(first.source, format!("release:{}", fixture.image.kubernetes));
    assert_eq!(first.os, fixture.image.os);

    let same = |path: &str| {
        let read = |record: &ImageRecord| fs::read(record.path.join("rootfs").join(path)).expect("read");
        assert!(read(&first) == read(&fixture.image), "{path} is the one that was served");
    };
    ["usr/bin/kubelet", "usr/local/bin/containerd-shim-runc-v2", "opt/cni/bin/bridge"]
        .iter()
        .for_each(|path| same(path));
    let etcdctl = fs::read_to_string(first.path.join("rootfs/usr/local/bin/etcdctl")).expect("etcdctl");
    assert!(etcdctl.starts_with("etcdctl of "), "out of an image");

    // containerd's database keeps names and labels as they are.
    let database = fs::read(first.path.join("containerd/io.containerd.metadata.v1.bolt/meta.db")).expect("read");
    let holds = |text: &str| database.windows(text.len()).any(|window| window == text.as_bytes());
    for text in
        fixture.references().iter().map(String::as_str).chain(["io.cri-containerd.image", "io.cri-containerd.pinned"])
    {
        assert!(holds(text), "{text}");
    }
    fixture.assert_clean();

    // Nothing is fetched again: by now the server has other programs.
    upstream.replace("/kubelet", "something else");
    let mut again = fixture.release(&upstream);
    let second = record(&again.output().expect("nodectl runs"));
    assert_eq!(first, second);
    let mut auto = fixture.nodectl(&["build", "--kubernetes", &format!("auto:{}", fixture.image.kubernetes)]);
    assert_eq!(
        record(&auto.envs(upstream.environment()).output().expect("nodectl runs")),
        first,
        "auto: stays with it"
    );
}

#[test]
fn a_program_that_is_not_what_its_digest_says_is_not_used() {
    let fixture = Fixture::new();
    let upstream = fixture.upstream();
    upstream.replace("/kubelet", "something else");
    let error = refused(&mut fixture.release(&upstream), 1);
    assert!(error.contains("/kubelet has the SHA-256 ") && error.contains(" was promised; it was not used"), "{error}");
    assert!(!fixture.record_path().exists(), "no image");
    assert!(!fixture.state.path().join("cache/bin").exists(), "nothing in the cache");
    fixture.assert_clean();
}

#[test]
fn a_build_that_was_killed_leaves_nothing_that_the_next_one_does_not_remove() {
    let fixture = Fixture::new();
    let upstream = fixture.upstream();
    let mut killed = fixture.release(&upstream).stderr(Stdio::piped()).spawn().expect("nodectl runs");
    wait_for(&mut killed, "pull ");
    killed.kill().expect("killed");
    killed.wait().expect("reaped");
    fixture.wait_ended();
    assert!(fixture.state.path().join("building").exists(), "it was in the middle of it");
    assert!(!fixture.record_path().exists(), "no image");

    record(&fixture.release(&upstream).output().expect("nodectl runs"));
    fixture.assert_clean();
}

#[test]
fn a_build_that_was_interrupted_removes_what_it_made() {
    let fixture = Fixture::new();
    let upstream = fixture.upstream();
    let mut interrupted = fixture.release(&upstream).stderr(Stdio::piped()).spawn().expect("nodectl runs");
    wait_for(&mut interrupted, "pull ");
    kill(Pid::from_raw(interrupted.id().cast_signed()), Signal::SIGTERM).expect("sent");
    assert_eq!(interrupted.wait().expect("ended").code(), Some(1));
    assert!(!fixture.record_path().exists(), "no image");
    fixture.assert_clean();
}

#[test]
fn a_second_build_says_that_it_waits_for_the_first() {
    let fixture = Fixture::new();
    let lock = fixture.run.path().join("locks/build");
    fs::create_dir_all(lock.parent().expect("a parent")).expect("made");
    let holder = fs::File::create(&lock).expect("a lock file");
    holder.lock().expect("locked");
    let mut waiting = fixture.nodectl(&["build", "--kubernetes", "dir:/no/such/place"]);
    let mut waiting = waiting.stderr(Stdio::piped()).spawn().expect("nodectl runs");
    wait_for(&mut waiting, "waiting for another command to end");
    assert!(waiting.try_wait().expect("asked").is_none(), "it waits");
    drop(holder);
    assert_eq!(waiting.wait().expect("ended").code(), Some(1));
}

#[test]
fn an_image_that_was_not_built_is_reported_with_the_command_that_builds_it() {
    let fixture = Fixture::new();
    assert!(!Path::new(&fixture.record_path()).exists());
    let error = refused(&mut fixture.nodectl(&["start", "--image", "other", "node1"]), 1);
    assert!(error.contains("build it with `nodectl build --image other`"), "{error}");
}

#[test]
fn upstreams_own_tests_are_fetched_and_their_images_left_to_the_nodes() {
    let fixture = Fixture::new();
    let upstream = fixture.upstream();
    let source = format!("release:{}", fixture.image.kubernetes);
    let e2e = || {
        let mut nodectl = fixture.nodectl(&["e2e", "--from", &source]);
        nodectl.envs(upstream.environment());
        nodectl
    };
    let output = e2e().output().expect("nodectl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record: SuiteRecord = serde_json::from_slice(&output.stdout).expect("a suite record");
    assert_eq!(record.kubernetes, fixture.image.kubernetes);
    assert_eq!((record.images.len(), record.missing.len()), (0, 0));
    for (program, name) in [(&record.program, "e2e.test"), (&record.ginkgo, "ginkgo")] {
        assert_eq!(fs::read_to_string(program).expect(name), format!("{name} of {}", fixture.image.kubernetes));
    }
    assert!(fs::metadata(&record.kubectl).expect("kubectl").len() > 1 << 20);
    assert_eq!(e2e().output().expect("nodectl runs").stdout, output.stdout, "again");

    let error = refused(&mut fixture.nodectl(&["e2e", "--cluster", "nowhere"]), 1);
    assert!(error.contains("cannot tell what cluster nowhere was made from") && error.contains("--from"), "{error}");
    fixture.assert_clean();
}
