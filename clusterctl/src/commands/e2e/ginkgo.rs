//! Run the suite: e2e.test itself for one test after the other, ginkgo for several at a time.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::record::SuiteRecord;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::E2eArgs;
use super::report::{Report, Unavailable};

/// How long the suite may clean up when it has been interrupted, or its time is over.
const GRACE: Duration = Duration::from_secs(300);

/// Lines of the log that an error repeats.
const LAST_LINES: usize = 12;

/// Why tests could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GinkgoError {
    /// The suite could not be started.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It cannot list its tests, most likely because a regular expression is malformed.
    #[error("the tests cannot be listed; from {}:\n{last}\nreplay: {command}", log.display())]
    List {
        /// The log.
        log: PathBuf,
        /// The end of that.
        last: String,
        /// The command.
        command: String,
    },
    /// A signal asked us to stop.
    #[error("interrupted; the tests' output: {}", log.display())]
    Interrupted {
        /// The log.
        log: PathBuf,
    },
    /// It did not end.
    #[error(
        "not done within {seconds} s, nor {} s later; the tests' output: {}\nreplay: {command}",
        GRACE.as_secs(), log.display()
    )]
    Deadline {
        /// How long we waited.
        seconds: u64,
        /// The log.
        log: PathBuf,
        /// The command.
        command: String,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// How the suite ended.
pub(super) enum Ended {
    /// All tests passed.
    Passed,
    /// Something is not.
    Failed(ExitStatus),
    /// It was told to.
    Interrupted,
}

/// The suite with all that it is run with.
pub(super) struct Ginkgo {
    program: PathBuf,
    ginkgo: PathBuf,
    dir: PathBuf,
    /// Which tests: ginkgo's flags and their values.
    selection: Vec<(&'static str, String)>,
    /// Flags of the suite itself.
    flags: Vec<OsString>,
    parallel: u16,
    timeout: u64,
}

impl Ginkgo {
    /// A run of `suite` that leaves its results in `dir`.
    pub(super) fn new(suite: &SuiteRecord, kubeconfig: &Path, dir: &Path, args: &E2eArgs) -> Result<Self, FileError> {
        fs::create_dir_all(dir).map_err(FileError::of("create", dir))?;
        let dir = dir.canonicalize().map_err(FileError::of("find", dir))?;
        let flags = vec![
            flag("kubeconfig", kubeconfig),
            flag("kubectl-path", &suite.kubectl),
            flag("provider", "skeleton"),
            flag("e2e-output-dir", &dir),
            // The nodes' logs, which it would fetch by SSH as those of a cloud's nodes.
            flag("disable-log-dump", "true"),
        ];
        let mut selection: Vec<_> = args.focus.iter().map(|regex| ("focus", regex.clone())).collect();
        selection.extend(args.skip.iter().map(|regex| ("skip", regex.clone())));
        if args.conformance {
            selection.push(("label-filter", "Conformance".to_owned()));
        }
        let (program, ginkgo) = (suite.program.clone(), suite.ginkgo.clone());
        Ok(Ginkgo { program, ginkgo, dir, selection, flags, parallel: args.parallel, timeout: args.timeout })
    }

    /// Where the tests' output goes.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("e2e.log")
    }

    /// Results, as many a program reads them.
    pub(super) fn junit(&self) -> PathBuf {
        self.dir.join("junit.xml")
    }

    /// Results, as ginkgo writes them.
    pub(super) fn report(&self) -> PathBuf {
        self.dir.join("report.json")
    }

    /// What is said of a run that was interrupted.
    pub(super) fn interrupted(&self) -> GinkgoError {
        GinkgoError::Interrupted { log: self.log() }
    }

    /// The names of the tests that are asked for.
    pub(super) fn matching(&self, interrupted: &AtomicBool) -> Result<Vec<String>, GinkgoError> {
        // A dry run is one of a single process.
        let mut suite = Command::new(&self.program);
        suite.args(self.selected("ginkgo.")).arg("--ginkgo.dry-run").arg(flag("ginkgo.json-report", self.report()));
        suite.args(&self.flags);
        match self.wait(&mut suite, interrupted)? {
            Ended::Passed => Ok(Report::read(&self.report())?.passed.into_iter().map(|test| test.name).collect()),
            Ended::Interrupted => Err(self.interrupted()),
            Ended::Failed(_) => {
                let text = fs::read_to_string(self.log()).unwrap_or_default();
                Err(GinkgoError::List { log: self.log(), last: last_lines(&text), command: command::shown(&suite) })
            }
        }
    }

    /// Leave these tests out.
    pub(super) fn leave_out(&mut self, tests: &[Unavailable]) {
        self.selection.extend(tests.iter().map(|one| ("skip", literal(&one.test))));
    }

    fn selected(&self, prefix: &str) -> Vec<OsString> {
        self.selection.iter().map(|(name, value)| flag(&format!("{prefix}{name}"), value)).collect()
    }

    /// Run the tests to their end.
    pub(super) fn run(&self, interrupted: &AtomicBool) -> Result<Ended, GinkgoError> {
        let timeout = format!("timeout={}s", self.timeout);
        let mut suite;
        if self.parallel > 1 {
            suite = Command::new(&self.ginkgo);
            suite.args(self.selected("")).args([format!("--{timeout}"), format!("--procs={}", self.parallel)]);
            suite.args(["--no-color", "--silence-skips", "--json-report=report.json", "--junit-report=junit.xml"]);
            suite.arg(flag("output-dir", &self.dir)).arg(&self.program).arg("--");
        } else {
            suite = Command::new(&self.program);
            suite.args(self.selected("ginkgo.")).arg(format!("--ginkgo.{timeout}"));
            suite.args(["--ginkgo.no-color", "--ginkgo.silence-skips"]);
            suite.arg(flag("ginkgo.json-report", self.report())).arg(flag("ginkgo.junit-report", self.junit()));
        }
        suite.args(&self.flags);
        self.wait(&mut suite, interrupted)
    }

    fn wait(&self, suite: &mut Command, interrupted: &AtomicBool) -> Result<Ended, GinkgoError> {
        for stale in [self.report(), self.junit()] {
            match fs::remove_file(&stale) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileError::of("remove", &stale)(error).into());
                }
                _ => {}
            }
        }
        let log = fs::File::create(self.log()).map_err(FileError::of("create", &self.log()))?;
        let both = log.try_clone().map_err(FileError::of("open", &self.log()))?;
        // What tests write into their working directory is not ours to keep.
        suite.current_dir(&self.dir).stdin(Stdio::null()).stdout(log).stderr(both).process_group(0);
        // When we are killed: of one process, the test ends and cleans up; of several, each ends with the test that it
        // is at, for want of ginkgo, which tells them the next one.
        let last = if self.parallel > 1 { Signal::SIGKILL } else { Signal::SIGINT };
        command::end_with_us(suite, last);
        let command = command::shown(suite);
        let mut child = suite.spawn().map_err(|source| CommandError::Spawn { command: command.clone(), source })?;
        let group = Pid::from_raw(child.id().cast_signed());
        let mut deadline = Instant::now() + Duration::from_secs(self.timeout) + GRACE;
        let mut is_told = false;
        loop {
            match child.try_wait().map_err(FileError::of("wait for", &self.program))? {
                Some(_) if is_told => return Ok(Ended::Interrupted),
                Some(status) if status.success() => return Ok(Ended::Passed),
                Some(status) => return Ok(Ended::Failed(status)),
                None if !is_told && interrupted.load(Ordering::Relaxed) => {
                    let _ = killpg(group, Signal::SIGINT);
                    is_told = true;
                    deadline = Instant::now() + GRACE;
                    eprintln!("e2e: interrupted; the tests that run clean up behind them");
                }
                None if Instant::now() > deadline => {
                    let _ = killpg(group, Signal::SIGKILL);
                    let _ = child.wait();
                    return Err(GinkgoError::Deadline { seconds: self.timeout, log: self.log(), command });
                }
                None => thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

/// The end of a log; of a crash of Go's, which a wrong regular expression is, the beginning.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = match lines.iter().position(|line| line.starts_with("panic: ")) {
        Some(crash) => &lines[crash..=crash],
        None => &lines[lines.len().saturating_sub(LAST_LINES)..],
    };
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn flag(name: &str, value: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

/// A regular expression of Go's (RE2) that matches this name and nothing longer of its kind.
fn literal(name: &str) -> String {
    let escaped = name.chars().map(|c| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() });
    format!("{}$", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_regular_expression_is_told_without_the_stack() {
        assert_eq!(
            last_lines("I1125\npanic: regexp: missing )\n\ngoroutine 1\nmain.main()\n"),
            "  panic: regexp: missing )"
        );
        assert_eq!(last_lines("a\n\nb\n"), "  a\n  b");
    }

    #[test]
    fn a_name_is_matched_as_it_is() {
        assert_eq!(literal("[sig-a] b (c)"), r"\[sig\-a\] b \(c\)$");
    }
}
