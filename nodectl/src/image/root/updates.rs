//! When the archives that Debian is installed from last changed: a tree is named by these dates, so that a build after a
//! security update installs Debian anew.
//!
//! The dates are the `Date:` of each suite's InRelease file. They are asked for at most once an hour, for one second: a
//! build with nothing to do takes a fraction of a second, and its user is not to wait for a mirror. Without an answer the
//! newest tree in the cache serves. The dates only decide when to install: they are taken from whatever the mirror says,
//! and it is apt that checks signatures.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, SystemTime};

use foundation::files::{self, FileError};
use serde::{Deserialize, Serialize};

use super::os::Suite;
use crate::image::context::Context;
use crate::image::digest::Key;
use crate::image::programs::download;

/// How long all mirrors together may take to answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// `Date:` is among the first fields of an InRelease file, which has 150 kB.
const HEAD: u64 = 4 << 10;

/// In the cache: what was learnt about each set of suites.
const FILE: &str = "debian.json";

/// What the mirrors said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Answer {
    /// When they were last asked, in seconds since 1970.
    asked: u64,
    /// The latest date of each suite that counts, likewise.
    dates: Option<Dates>,
    /// Whether the mirrors did not answer, that last time.
    is_silent: bool,
}

/// Dates of suites, in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dates(Vec<u64>);

impl fmt::Display for Dates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dates: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&dates.join("-"))
    }
}

/// The dates of `suites`, asked for unless that was done within `interval`. None when no mirror has told them; where
/// `has_tree`, standard error says that the newest tree is used instead.
pub(super) fn dates(
    cx: &Context,
    suites: &[Suite<String>],
    interval: Duration,
    has_tree: bool,
) -> Result<Option<Dates>, FileError> {
    let path = cx.dirs.cache().join(FILE);
    let counting: Vec<_> = suites.iter().filter(|suite| suite.counts).collect();
    let key = Key::new("suites").with_all("suite", counting.iter().map(|suite| suite.line())).finish();
    // A file that is damaged is written anew.
    let mut answers: BTreeMap<String, Answer> = files::read_json(&path).unwrap_or_default().unwrap_or_default();
    let before = answers.get(&key);
    let now = seconds(SystemTime::now());
    if let Some(before) = before.filter(|before| is_recent(before.asked, now, interval)) {
        return Ok(before.dates.clone().filter(|_| !before.is_silent));
    }
    let known = before.and_then(|before| before.dates.clone());
    let answer = match ask(&counting) {
        Ok(dates) => Answer { asked: now, dates: Some(dates.no_older_than(known)), is_silent: false },
        // With nothing to fall back on, mmdebstrap will say what is wrong.
        Err(_) if !has_tree => return Ok(None),
        Err(error) => {
            eprintln!("build: cannot ask for updates of Debian ({error}): using the newest Debian in the cache");
            Answer { asked: now, dates: known, is_silent: true }
        }
    };
    let dates = answer.dates.clone().filter(|_| !answer.is_silent);
    answers.insert(key, answer);
    files::write_json(&path, &answers)?;
    Ok(dates)
}

impl Dates {
    /// Each date, or the one that was known before, if that is later: mirrors are copies, and one may be behind another.
    fn no_older_than(self, before: Option<Dates>) -> Self {
        let before = before.map_or(vec![], |before| before.0);
        let later = |(index, date): (usize, u64)| date.max(before.get(index).copied().unwrap_or_default());
        Dates(self.0.into_iter().enumerate().map(later).collect())
    }
}

/// A clock that was set back makes no answer recent.
fn is_recent(asked: u64, now: u64, interval: Duration) -> bool {
    asked <= now && now - asked < interval.as_secs()
}

/// Ask all mirrors at once.
fn ask(suites: &[&Suite<String>]) -> Result<Dates, String> {
    let ask = |suite: &Suite<String>| {
        let url = format!("{}/dists/{}/InRelease", suite.url, suite.name);
        let head = download::beginning(&url, HEAD, DEADLINE).map_err(|error| format!("{url}: {error}"))?;
        date_in(&head).ok_or_else(|| format!("{url} has no date"))
    };
    thread::scope(|scope| {
        let asking: Vec<_> = suites.iter().map(|suite| scope.spawn(move || ask(suite))).collect();
        let answers = asking.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("it panicked".to_owned())));
        answers.collect::<Result<_, _>>().map(Dates)
    })
}

/// The date in the beginning of an InRelease file: `Date: Thu, 26 Nov 2026 21:03:36 UTC`.
fn date_in(head: &str) -> Option<u64> {
    let date = head.lines().find_map(|line| line.strip_prefix("Date: "))?.trim();
    // HTTP has the same format, but for the name of the zone.
    httpdate::parse_http_date(&date.replace("UTC", "GMT")).ok().map(seconds)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn suite(url: &str) -> Suite<String> {
        Suite { url: url.to_owned(), name: "trixie".to_owned(), counts: true }
    }

    #[test]
    fn the_date_of_a_suite_is_read() {
        let head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nSuite: stable-security\n\
            Date: Thu, 26 Nov 2026 21:03:36 UTC\nValid-Until: Thu, 03 Dec 2026 21:03:36 UTC\n";
        assert_eq!(date_in(head), Some(1_795_727_016));
        assert_eq!(date_in("<html>not found</html>"), None);
        assert_eq!(date_in("Date: ../../etc\n"), None);
    }

    #[test]
    fn a_mirror_that_is_behind_does_not_bring_an_older_system_back() {
        let dates = |dates: &[u64]| Dates(dates.to_vec());
        assert_eq!(dates(&[5, 9]).no_older_than(Some(dates(&[7, 8]))), dates(&[7, 9]));
        assert_eq!(dates(&[5, 9]).no_older_than(None).to_string(), "5-9");
    }

    #[test]
    fn the_mirror_is_asked_once_an_interval() {
        assert!(is_recent(100, 3600, HOUR));
        assert!(!is_recent(100, 3700, HOUR));
        assert!(!is_recent(200, 100, HOUR), "the clock was set back");
        assert!(!is_recent(100, 100, Duration::ZERO));
    }

    #[test]
    fn mirrors_that_do_not_answer_are_given_up() {
        // Connections are accepted by the kernel, and never read.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let silent = suite(&format!("http://{}", listener.local_addr().expect("an address")));
        let error = ask(&[&silent, &silent]).expect_err("no answer");
        assert!(error.contains("/dists/trixie/InRelease: timeout"), "{error}");
    }

    #[test]
    fn a_mirror_that_cannot_be_reached_is_not_asked_again_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        // Nothing listens on port 1 of loopback.
        let suites = [suite("http://127.0.0.1:1")];
        assert_eq!(dates(&cx, &suites, HOUR, false).expect("no date"), None);
        assert!(!cx.dirs.cache().join(FILE).exists(), "without a tree it is asked each time");
        assert_eq!(dates(&cx, &suites, HOUR, true).expect("no date"), None);
        let answers: BTreeMap<String, Answer> =
            files::read_json(&cx.dirs.cache().join(FILE)).expect("read").expect("there");
        assert_eq!(answers.len(), 1);
    }
}
