//! The containerd that a build runs on the image store while it fills it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use foundation::command::failed;
use foundation::files::{self, FileError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::image::child::{self, ChildError};
use crate::image::context::Context;
use crate::image::programs::program::Programs;
use crate::image::progress::Stage;

/// How long it may take to start, and to stop.
const DEADLINE: Duration = Duration::from_secs(30);

/// The namespace that containerd's CRI plugin uses.
const NAMESPACE: &str = "k8s.io";

/// containerd did not start.
#[derive(Debug, thiserror::Error)]
pub enum ContainerdError {
    /// It ended.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// It does not answer.
    #[error("containerd did not answer within {} s; see its log {}", DEADLINE.as_secs(), log.display())]
    Silent {
        /// Its log.
        log: PathBuf,
    },
    /// Its configuration could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A containerd that ends when it is dropped, and in any case when we end. It runs in a mount namespace of its own, so
/// that the mounts by which it unpacks layers are not seen outside.
pub(super) struct Containerd {
    child: Child,
    ctr: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

impl Containerd {
    /// Start it on `store`, and wait until it answers.
    pub(super) fn start(cx: &Context, programs: &Programs, store: &Path) -> Result<Self, ContainerdError> {
        let run = &cx.run;
        fs::create_dir_all(run).map_err(FileError::of("create", run))?;
        let socket = run.join("containerd.sock");
        let config = run.join("containerd.toml");
        files::write_durably(&config, configuration(store, run, &socket), 0o600)?;
        let log = cx.log("containerd");
        let mut command = Command::new(&programs["containerd"].path);
        command.arg("--config").arg(&config).current_dir("/");
        let child = child::spawn(child::contain(&mut command, Signal::SIGKILL), &log)?;
        let mut containerd = Containerd { child, ctr: programs["ctr"].path.clone(), socket, log: cx.log("ctr") };
        let started = Instant::now();
        while UnixStream::connect(&containerd.socket).is_err() {
            if let Ok(Some(status)) = containerd.child.try_wait() {
                return Err(ChildError::from(failed(&command, status, &log)).into());
            }
            if started.elapsed() > DEADLINE {
                return Err(ContainerdError::Silent { log });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(containerd)
    }

    /// Run its client to the end.
    pub(super) fn ctr<A: AsRef<OsStr>, B: AsRef<OsStr>>(
        &self,
        stage: &Stage,
        verb: impl IntoIterator<Item = A>,
        rest: impl IntoIterator<Item = B>,
    ) -> Result<(), ChildError> {
        let mut ctr = Command::new(&self.ctr);
        ctr.arg("--address").arg(&self.socket).args(["--namespace", NAMESPACE]).args(verb).args(rest);
        child::run(child::contain(&mut ctr, Signal::SIGKILL), &self.log, stage)
    }

    /// Ask it to end, and wait: then its databases are complete.
    pub(super) fn stop(mut self) {
        let started = Instant::now();
        // The only error is that it has ended.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        while started.elapsed() < DEADLINE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(store: &Path, run: &Path, socket: &Path) -> String {
    format!(
        "version = 3\nroot = {store:?}\nstate = {state:?}\nimports = []\n\
         disabled_plugins = [\"io.containerd.cri.v1.images\", \"io.containerd.cri.v1.runtime\", \"io.containerd.grpc.v1.cri\", \
         \"io.containerd.nri.v1.nri\"]\n\n\
         [grpc]\n  address = {socket:?}\n",
        state = run.join("state"),
    )
}
