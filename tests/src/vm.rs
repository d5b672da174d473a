//! A virtual machine, to test on hosts that this one is not: with systemd, cgroup version 2 and NetworkManager.
//!
//! It runs under QEMU, on copies of disks that are made once and kept. Power can fail: [`Vm::kill_hard`].

mod accelerator;
mod monitor;
mod qemu;
mod ssh;
mod state;
mod system;

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub use accelerator::Accelerator;
pub use ssh::{Failure, Ssh};
pub use state::{STATE_DIR, StateDisk};
pub use system::System;

use crate::fixture::{is_alive, succeed};
use monitor::Monitor;
use system::Disk;

/// An address that stands for the internet: QEMU itself answers there with [`OUTSIDE_SAYS`], without any network.
pub const OUTSIDE: (&str, u16) = ("10.0.2.100", 7);

/// What the world says.
pub const OUTSIDE_SAYS: &str = "outside";

/// How long a machine may take to boot, without hardware's help and with other work on the processors.
const BOOT: Duration = Duration::from_secs(600);

/// How often its kernel may panic before it is up.
const PANICS: u32 = 3;

/// A machine that runs until this is dropped.
pub struct Vm {
    /// Its disks, its console's log and the sockets of QEMU.
    dir: tempfile::TempDir,
    disk: Disk,
    accelerator: Accelerator,
    ssh: Ssh,
    qemu: Child,
}

impl Vm {
    /// Boot a new machine of this system, and wait until it can be logged in to.
    ///
    /// # Panics
    /// When something is missing that it needs, or it does not come up.
    pub fn boot(system: &System, state: &StateDisk, cache: &Path) -> Self {
        let key = ssh::key(cache);
        let disk = system.disk(cache, &key.with_extension("pub"));
        let dir = tempfile::tempdir_in(cache).expect("a directory");
        // Copies, not overlays in QEMU's own format: what that has written is lost with it, unless each flush of the
        // machine's waits for this host's disk. What is written to a raw file is this host's, whatever becomes of QEMU.
        for (from, to) in [(disk.root(), "root.raw"), (state.path().to_owned(), "state.raw")] {
            let mut cp = Command::new("cp");
            succeed(cp.args(["--reflink=auto", "--sparse=always"]).arg(from).arg(dir.path().join(to)));
        }
        let accelerator = Accelerator::choose(&disk.kernel());
        let ssh = Ssh::new(key, free_port());
        let qemu = power_on(dir.path(), &disk, accelerator, &ssh);
        let mut vm = Vm { dir, disk, accelerator, ssh, qemu };
        vm.wait_up();
        vm
    }

    /// How to do something in it.
    pub fn ssh(&self) -> &Ssh {
        &self.ssh
    }

    /// What runs it.
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// As when the power fails: nothing in it gets to do anything.
    ///
    /// # Panics
    /// When it has ended by itself.
    pub fn kill_hard(&mut self) {
        assert!(is_alive(self.qemu.id().cast_signed()), "the machine runs: {}", self.console());
        self.qemu.kill().and_then(|()| self.qemu.wait()).expect("killed");
    }

    /// Switch it on again after [`Vm::kill_hard`], with the disks that it had.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn boot_again(&mut self) {
        self.qemu = power_on(self.dir.path(), &self.disk, self.accelerator, &self.ssh);
        self.wait_up();
    }

    /// Have it sleep (suspend to memory), and wake it up when it does. False when its kernel has panicked over that: then
    /// it has been booted again.
    ///
    /// # Errors
    /// When it does not go to sleep.
    ///
    /// # Panics
    /// When it cannot be logged in to afterwards.
    pub fn sleep_and_wake(&mut self) -> Result<bool, Failure> {
        let mut monitor = Monitor::connect(&self.path("monitor.sock"));
        // Later, when the connection is closed that gives the order: it would not end while the machine sleeps.
        self.ssh.run("systemd-run --quiet --on-active=5 systemctl suspend", Duration::from_secs(60))?;
        let slept = monitor.wait_for_status("suspended", Duration::from_secs(120));
        monitor.execute("system_wakeup");
        if let Err(console) = self.come_up() {
            self.boot_after_panic(&console);
            self.wait_up();
            return Ok(false);
        }
        if slept { Ok(true) } else { Err(Failure::of("systemctl suspend", "it does not sleep")) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn console(&self) -> String {
        let log = fs::read(self.path("console.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        log.lines()
            .rev()
            .take(60)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .fold(String::new(), |all, line| all + line + "\n")
    }

    fn wait_up(&mut self) {
        let mut panics = PANICS;
        while let Err(console) = self.come_up() {
            assert!(panics > 0, "the machine's kernel panics again and again: {console}");
            panics -= 1;
            self.boot_after_panic(&console);
        }
    }

    /// Wait until it can be logged in to; what its console says, if QEMU ends before.
    fn come_up(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + BOOT;
        while self.ssh.run("true", Duration::from_secs(20)).is_err() {
            if self.qemu.try_wait().expect("QEMU is a child").is_some() {
                return Err(self.console());
            }
            assert!(Instant::now() < deadline, "the machine is not up after {BOOT:?}: {}", self.console());
            thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    }

    /// QEMU's translation, with more than one processor, now and then executes the breakpoint by which Linux changes its
    /// own code (`text_poke()`, for static keys) after it was taken away: "Oops: int3", most often at boot. Where that
    /// ends a kernel, it is no fault of what is tested.
    fn boot_after_panic(&mut self, console: &str) {
        let is_known = self.accelerator == Accelerator::Tcg && console.contains("Kernel panic");
        assert!(is_known, "QEMU has ended: {console}");
        eprintln!("the machine's kernel has panicked; it is booted again:\n{console}");
        self.qemu = power_on(self.dir.path(), &self.disk, self.accelerator, &self.ssh);
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // Fails only when it has ended.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn power_on(dir: &Path, disk: &Disk, accelerator: Accelerator, ssh: &Ssh) -> Child {
    // It ends with us, however we end (PR_SET_PDEATHSIG(2const)).
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL"]).args(qemu::command(dir, disk, accelerator, ssh.port()));
    let log = File::create(dir.join("qemu.log")).expect("a log");
    qemu.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
    qemu.spawn().expect("setpriv runs")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}
