//! Say what the build is doing: a line per stage with its time, a bar where a size is known.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Where progress is shown: standard error.
pub struct Progress {
    terminal: bool,
}

/// A stage at work.
pub struct Stage {
    what: String,
    started: Instant,
    /// Only on a terminal.
    bar: Option<ProgressBar>,
    finished: bool,
}

impl Progress {
    /// Moving on a terminal, plain lines elsewhere.
    pub fn to_stderr() -> Self {
        Progress { terminal: io::stderr().is_terminal() }
    }

    /// Do `work`, a stage that is worth a line.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn stage<T, E>(&self, what: &str, work: impl FnOnce(&Stage) -> Result<T, E>) -> Result<T, E> {
        let mut stage = Stage::begin(what, self.terminal);
        let result = work(&stage);
        stage.end(if result.is_ok() { "" } else { " failed" });
        result
    }
}

impl Stage {
    fn begin(what: &str, terminal: bool) -> Self {
        let bar = terminal.then(|| {
            let bar = ProgressBar::new_spinner().with_style(style("build: {wide_msg} {spinner} {elapsed}"));
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if !terminal {
            eprint!("build: {what} ... ");
        }
        Stage { what: what.to_owned(), started: Instant::now(), bar, finished: false }
    }

    /// Whether anybody sees what moves.
    pub fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// The size is known now: show a bar.
    pub fn total(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(style("build: {msg} {wide_bar} {bytes}/{total_bytes} {eta}"));
            bar.set_length(bytes);
        }
    }

    /// So much has been done.
    pub fn position(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    /// What exactly is being done.
    pub fn detail(&self, detail: &str) {
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
    // Templates are ours, and tested.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_passes_on_what_its_work_returns() {
        let progress = Progress { terminal: false };
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
        for template in ["build: {wide_msg} {spinner} {elapsed}", "build: {msg} {wide_bar} {bytes}/{total_bytes} {eta}"]
        {
            ProgressStyle::with_template(template).expect(template);
        }
    }
}
