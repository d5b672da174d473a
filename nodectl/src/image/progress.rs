//! Say what a build is doing: a line for each stage with its time, a bar where a size is known.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

const SPINNER: &str = "build: {wide_msg} {spinner} {elapsed}";
const BAR: &str = "build: {msg} {wide_bar} {bytes}/{total_bytes} {eta}";

/// Shows progress on standard error, and knows whether the user has interrupted.
pub struct Progress {
    terminal: bool,
    interrupted: Arc<AtomicBool>,
}

/// A stage that is under way.
pub struct Stage {
    what: String,
    started: Instant,
    interrupted: Arc<AtomicBool>,
    /// Only on a terminal.
    bar: Option<ProgressBar>,
    finished: bool,
}

impl Progress {
    /// Moving on a terminal, plain lines elsewhere.
    pub fn to_stderr() -> Self {
        Progress { terminal: io::stderr().is_terminal(), interrupted: Arc::default() }
    }

    /// From now on a signal ends the current stage, so that unfinished results can be removed; a second one ends this
    /// process.
    pub(crate) fn catch_signals(&self) {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // Only forbidden signals fail to register.
            let _ = flag::register_conditional_shutdown(signal, 130, Arc::clone(&self.interrupted));
            let _ = flag::register(signal, Arc::clone(&self.interrupted));
        }
    }

    #[cfg(test)]
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    /// Do `work`, a stage that gets a line.
    pub fn stage<T, E>(&self, what: &str, work: impl FnOnce(&Stage) -> Result<T, E>) -> Result<T, E> {
        let mut stage = self.begin(what);
        let result = work(&stage);
        stage.end(if result.is_ok() { "" } else { " failed" });
        result
    }

    fn begin(&self, what: &str) -> Stage {
        let bar = self.terminal.then(|| {
            let bar = ProgressBar::new_spinner().with_style(style(SPINNER));
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if !self.terminal {
            eprint!("build: {what} ... ");
        }
        let interrupted = Arc::clone(&self.interrupted);
        Stage { what: what.to_owned(), started: Instant::now(), interrupted, bar, finished: false }
    }
}

impl Stage {
    /// Whether the user has interrupted.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Whether it is shown on a terminal.
    pub(crate) fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// The size is known now: show a bar.
    pub(crate) fn total(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(style(BAR));
            bar.set_length(bytes);
        }
    }

    /// So much of the size is done.
    pub(crate) fn position(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    /// What exactly is being done.
    pub(crate) fn detail(&self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {detail}", self.what));
        }
    }

    fn end(&mut self, how: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        match &self.bar {
            Some(bar) => {
                bar.finish_and_clear();
                eprintln!("build: {} ...{how} {seconds:.1}s", self.what);
            }
            None => eprintln!("{}{seconds:.1}s", how.trim_start().to_owned() + if how.is_empty() { "" } else { " " }),
        }
        // A reader behind a pipe wants the line now.
        let _ = io::stderr().flush();
        self.finished = true;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.finished {
            self.end(" aborted");
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // Templates are constants, and tested.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_passes_on_what_its_work_returns() {
        let progress = Progress { terminal: false, interrupted: Arc::default() };
        assert_eq!(
            progress.stage("count", |stage| {
                stage.total(2);
                stage.position(1);
                stage.detail("one");
                Ok::<_, ()>(3)
            }),
            Ok(3)
        );
        assert_eq!(progress.stage("fail", |_| Err::<(), _>("why")), Err("why"));
    }

    #[test]
    fn templates_are_valid() {
        for template in [SPINNER, BAR] {
            ProgressStyle::with_template(template).expect(template);
        }
    }
}
