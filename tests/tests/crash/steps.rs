//! One command, killed at one step after the other.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tests::crash::Ended;

/// Environment variable: how far apart the steps are that are tried. 1 is all of them.
const VARIABLE: &str = "CRASH_STRIDE";

/// The distance between steps, unless [`VARIABLE`] says otherwise: `sample` of them are tried.
fn stride(sample: usize) -> usize {
    std::env::var(VARIABLE).map_or(sample, |stride| stride.parse().expect("a number"))
}

/// Call `attempt` with 1, 1 + stride, ... until the command ends before it is killed, and `heal` after each, which checks
/// that nothing is left and nothing lost. Prints what was seen of `command`.
///
/// # Panics
/// When no call was tried: the test would show nothing.
pub(crate) fn each_step(command: &str, sample: usize, attempt: impl Fn(usize) -> Ended, heal: impl Fn(&str)) {
    let stride = stride(sample);
    let (mut nth, mut tried, mut slowest) = (1, 0, Duration::ZERO);
    let calls = loop {
        let ended = attempt(nth);
        let begun = Instant::now();
        match ended {
            Ended::Killed { call } => heal(&format!("{command} killed before its call {nth}, {call}")),
            Ended::Became { .. } | Ended::Exited { .. } => heal(&format!("{command}, not killed")),
        }
        slowest = slowest.max(begun.elapsed());
        match ended {
            Ended::Killed { .. } => tried += 1,
            Ended::Became { calls } | Ended::Exited { calls } => break calls,
        }
        nth += stride;
    };
    assert!(tried > 0, "{command} made {calls} calls, and was never killed");
    let seconds = slowest.as_secs_f64();
    // Also when all is well: print! is captured by the test harness then.
    writeln!(
        io::stderr(),
        "crash: {command}: {calls} calls, {tried} killed, nothing left, slowest heal {seconds:.1} s"
    )
    .expect("printed");
}
