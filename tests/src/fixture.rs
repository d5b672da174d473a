//! A host, a network and a container's root file system for a test.

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::HostState;

/// Where Debian and the plugins' own releases put them.
const PLUGIN_DIRS: &str = "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni";

/// A host of its own with what `cnispawn` needs.
pub struct Fixture {
    /// Holds all its files.
    pub dir: tempfile::TempDir,
    /// The host before the test.
    pub before: HostState,
    /// The network's name.
    pub net: String,
}

impl Fixture {
    /// A host with one network, `10.201.N.0/24` on the bridge `cs-N`.
    ///
    /// # Panics
    /// As [`Fixture::without_network`].
    pub fn new(n: u8) -> Self {
        let fixture = Self::without_network(n);
        fixture.write_conf(&json!([bridge(n, 24, fixture.path("ipam"))]));
        fixture
    }

    /// A host without a network; the calling thread belongs to it from now on.
    ///
    /// # Panics
    /// When something is missing that the tests need.
    pub fn without_network(n: u8) -> Self {
        crate::isolate();
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["net.d", "bin", "ipam", "root"] {
            fs::create_dir(dir.path().join(name)).expect("created");
        }
        make_root(&dir.path().join("root"));
        let files_of = ["ipam", "cache", "state", "run/containers"].map(|name| dir.path().join(name));
        let before = HostState::capture_namespaces(&files_of.each_ref().map(PathBuf::as_path));
        Fixture { dir, before, net: format!("cs-{n}") }
    }

    /// The path of one of its files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Write the network's configuration: its plugins.
    ///
    /// # Panics
    /// When that fails.
    pub fn write_conf(&self, plugins: &Value) {
        let list = json!({"cniVersion": "1.0.0", "name": self.net, "plugins": plugins});
        fs::write(self.path("net.d/50-test.conflist"), list.to_string()).expect("written");
    }

    /// A plugin of our own: a shell script.
    ///
    /// # Panics
    /// When that fails.
    pub fn write_plugin(&self, name: &str, script: &str) {
        let text = self.path("script");
        fs::write(&text, format!("#!/bin/sh\n{script}\n")).expect("written");
        install(&text, &self.path("bin").join(name));
    }

    /// `cnispawn` with its directories here, and nothing of the environment.
    pub fn cnispawn(&self, args: &[&str]) -> Command {
        let mut cnispawn = Command::new(crate::bin("cnispawn"));
        cnispawn.args(args).stdin(Stdio::null());
        for variable in ["CNI_ARGS", "CNI_IFNAME", "CAP_ARGS", "CNISPAWN_EXEC", "CNISPAWN_LOG"] {
            cnispawn.env_remove(variable);
        }
        cnispawn.env("NETCONFPATH", self.path("net.d"));
        cnispawn.env("CNI_PATH", format!("{}:{PLUGIN_DIRS}", self.path("bin").display()));
        cnispawn.env("CNISPAWN_STATE_DIR", self.path("state"));
        cnispawn.env("CNISPAWN_RUN_DIR", self.path("run"));
        cnispawn.env("CNISPAWN_CACHE_DIR", self.path("cache"));
        cnispawn
    }

    /// `cnispawn run NAME` of a shell script in a container, with the host's own programs.
    pub fn run(&self, name: &str, script: &str) -> Command {
        // Read-only: systemd-nspawn would lock the directory against a second container.
        self.run_with(name, &[], &["--read-only"], script)
    }

    /// The same with options for `run`, and with arguments for systemd-nspawn.
    pub fn run_with(&self, name: &str, options: &[&str], nspawn: &[&str], script: &str) -> Command {
        let mut run = self.cnispawn(&[&["run", name], options].concat());
        run.args(["--", "--quiet", "--register=no", "--keep-unit", "--as-pid2", "--pipe", "--bind-ro=/usr"]);
        run.args(nspawn).arg("-D").arg(self.path("root")).args(["/bin/bash", "-c", script]);
        run
    }

    /// Start a container that sleeps, and wait until it is up.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(&self, name: &str) -> Container {
        started(name, self.run(name, "echo up; exec sleep 1000"))
    }

    /// What `cnispawn ls --json` prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn ls(&self) -> Vec<Value> {
        let output = succeed(&mut self.cnispawn(&["ls", "--json"]));
        output.lines().map(|line| serde_json::from_str(line).expect("JSON Lines")).collect()
    }

    /// Assert that nothing is left, now or soon.
    ///
    /// # Panics
    /// When something is.
    pub fn assert_clean(&self) {
        self.before.wait_unchanged();
        assert_eq!(self.ls(), Vec::<Value>::new());
    }
}

/// A container that `run` starts, once it has printed `up`.
///
/// # Panics
/// When it does not, with what it says instead.
pub fn started(name: &str, mut run: Command) -> Container {
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cnispawn runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
    if line != "up\n" {
        let mut said = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut said).expect("readable");
        panic!("container {name} says {line:?}: {said}");
    }
    Container { child, name: name.to_owned() }
}

/// A running container, and the process that was started as cnispawn.
pub struct Container {
    /// The process.
    pub child: Child,
    /// Its name.
    pub name: String,
}

impl Container {
    /// The process's id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Kill the process, and reap it.
    ///
    /// # Panics
    /// When it has ended by itself.
    pub fn kill(&mut self) {
        kill(Pid::from_raw(self.pid()), Signal::SIGKILL).expect("it runs");
        self.child.wait().expect("reaped");
    }

    /// The processes of the container itself, which outlive systemd-nspawn when it is killed.
    ///
    /// # Panics
    /// When they cannot be listed.
    pub fn payload(&self) -> Vec<i32> {
        in_netns(&self.name)
    }
}

/// A bridge with host-local's addresses and masquerading, as container runtimes configure theirs.
pub fn bridge(n: u8, prefix: u8, ipam: PathBuf) -> Value {
    json!({
        "type": "bridge", "bridge": format!("cs-{n}"), "isGateway": true, "ipMasq": true,
        "ipam": {
            "type": "host-local", "dataDir": ipam, "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": format!("10.201.{n}.0/{prefix}"), "gateway": format!("10.201.{n}.1")}]],
        },
    })
}

/// Copy to an executable file, by another process: had we written it ourselves, a test that forks at that moment would
/// inherit the descriptor, and the execution would fail with ETXTBSY.
///
/// # Panics
/// When that fails.
pub fn install(from: &Path, to: &Path) {
    succeed(Command::new("install").args(["-m", "755"]).args([from, to]));
}

/// The least that systemd-nspawn takes for a root: the host's /usr is bound into it.
fn make_root(root: &Path) {
    for dir in ["usr", "etc", "tmp", "proc", "sys", "dev", "run", "root"] {
        fs::create_dir(root.join(dir)).expect("created");
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link)).expect("linked");
    }
}

/// The processes in a network namespace of `ip netns`.
///
/// # Panics
/// When they cannot be listed.
pub fn in_netns(name: &str) -> Vec<i32> {
    let output = succeed(Command::new("ip").args(["netns", "pids", name]));
    output.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// The processes whose command line has all the `words`.
///
/// # Panics
/// When /proc cannot be read.
pub fn processes(words: &[&str]) -> Vec<i32> {
    let pids = fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        !line.is_empty() && words.iter().all(|word| line.contains(word))
    })
    .collect()
}

/// Whether a process runs; a zombie does not.
pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Wait until something is so.
///
/// # Panics
/// When it is not after three minutes.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(180);
    while !condition() {
        assert!(Instant::now() < deadline, "waited three minutes for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Run to the end; what it printed.
///
/// # Panics
/// When it fails.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// The same, with a text on standard input.
///
/// # Panics
/// When it fails, or does not read.
pub fn succeed_with_input(command: &mut Command, input: &str) -> String {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(input.as_bytes()).and_then(|()| file.rewind()).expect("written");
    succeed(command.stdin(file))
}

/// Run to a failure with this exit status, one error on standard error and nothing on standard output.
///
/// # Panics
/// When it ends otherwise.
pub fn fail(command: &mut Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.output().expect("runs");
    let stderr = text(&stderr);
    assert_eq!(status.code(), Some(code), "{command:?}: {stderr}");
    assert_eq!(text(&stdout), "", "standard output is for data");
    let errors = stderr.lines().filter(|line| line.starts_with("cnispawn: ") || line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{stderr}");
    stderr
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
