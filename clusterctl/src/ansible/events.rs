//! What our callback plugin (ansible/callback_plugins/steps.py) tells while a playbook runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use foundation::files::FileError;
use serde::Deserialize;

/// One line of the events' file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The playbook begins.
    Start {
        /// Seconds since the epoch.
        time: f64,
    },
    /// A task has begun on a host.
    Begin {
        /// The host.
        host: String,
        /// The task's name.
        task: String,
    },
    /// A task has ended on a host.
    Step {
        /// Seconds since the epoch.
        time: f64,
        /// The host.
        host: String,
        /// The task's name.
        task: String,
        /// How it ended.
        status: Status,
        /// How long it took there.
        seconds: f64,
        /// What went wrong, if anything did.
        message: Option<String>,
    },
    /// The task that has begun on a host does not concern it.
    Skip {
        /// The host.
        host: String,
    },
    /// Something that the user should know.
    Note {
        /// What it is.
        message: String,
    },
    /// The playbook has ended.
    End {
        /// Seconds since the epoch.
        time: f64,
        /// How many tasks have changed something.
        changed: u64,
        /// What the playbook has found out (`ansible.builtin.set_stats`): `kubernetes`, its version.
        #[serde(default)]
        facts: BTreeMap<String, String>,
    },
}

/// How a task ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Nothing to do.
    Ok,
    /// Something was changed.
    Changed,
    /// It failed.
    Failed,
    /// It failed, which was expected.
    Ignored,
    /// SSH did not get there.
    Unreachable,
}

/// Reads along in a file to which another process appends.
pub(super) struct Reader {
    input: BufReader<File>,
    partial: String,
}

impl Reader {
    /// Open the file, which must exist.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::of("open", path))?;
        Ok(Reader { input: BufReader::new(file), partial: String::new() })
    }

    /// The events that have come since the last call. A line that is not one is passed over.
    pub(super) fn read(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while self.input.read_line(&mut self.partial).is_ok_and(|length| length > 0) {
            // The rest of the line is still to come.
            if !self.partial.ends_with('\n') {
                break;
            }
            events.extend(serde_json::from_str(&self.partial));
            self.partial.clear();
        }
        events
    }
}

/// What a run amounted to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// Tasks that changed something.
    pub(crate) changed: u64,
    /// What the playbook has found out.
    pub(crate) facts: BTreeMap<String, String>,
    /// Seconds of each step, by its name: of the host that took longest.
    pub(crate) steps: BTreeMap<String, f64>,
    /// Failures: host, task, message.
    pub(crate) failures: Vec<(String, String, String)>,
}

impl Summary {
    /// Take an event into account; what a person should read of it, if anything.
    pub(crate) fn add(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Start { .. } | Event::Begin { .. } | Event::Skip { .. } => None,
            Event::Note { message } => Some(format!("note: {message}")),
            Event::End { changed, facts, .. } => {
                self.changed = changed;
                self.facts = facts;
                None
            }
            Event::Step { host, task, status, seconds, message, .. } => {
                let longest = self.steps.entry(task.clone()).or_default();
                *longest = longest.max(seconds);
                let word = match status {
                    Status::Ok | Status::Changed | Status::Ignored => "",
                    Status::Failed => " FAILED",
                    Status::Unreachable => " UNREACHABLE",
                };
                let line = format!("{seconds:7.1}s {host:12} {task}{word}");
                if !word.is_empty() {
                    self.failures.push((host, task, message.unwrap_or_default()));
                }
                Some(line)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_are_read_when_they_are_whole() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let mut reader = Reader::open(file.path()).expect("opened");
        write!(file, r#"{{"event":"start","time":1.5}}"#).expect("written");
        assert_eq!(reader.read(), []);
        write!(file, "\nnot an event\n{{\"event\":\"end\",\"time\":2,\"changed\":3}}\n").expect("written");
        assert_eq!(
            reader.read(),
            [Event::Start { time: 1.5 }, Event::End { time: 2.0, changed: 3, facts: BTreeMap::new() }]
        );
    }

    #[test]
    fn a_failure_is_summed_up_with_its_message() {
        let mut summary = Summary::default();
        let event = r#"{"event":"step","time":1,"host":"n","task":"T","status":"failed","seconds":2.25,"message":"m"}"#;
        let line = summary.add(serde_json::from_str(event).expect("an event")).expect("a line");
        assert_eq!(line, "    2.2s n            T FAILED");
        assert_eq!(summary.failures, [("n".to_owned(), "T".to_owned(), "m".to_owned())]);
        assert_eq!(summary.steps["T"], 2.25);
    }
}
