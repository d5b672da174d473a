//! ADD and DEL, again and again.

use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use tests::Fixture;
use tests::fixture::succeed;

use super::tell::tell;

const CYCLES: usize = 1000;
const WORKERS: usize = 4;

#[test]
fn a_thousand_adds_and_dels_leave_nothing() {
    let fixture = Fixture::new(60);
    // The first ADD makes the bridge, which belongs to the caller of `add`.
    netns("add", "first");
    cycle(&fixture, "first").expect("works");
    netns("delete", "first");
    let before = fixture.before.recapture();

    let failures = Mutex::new(Vec::new());
    let started = Instant::now();
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (fixture, failures) = (&fixture, &failures);
            scope.spawn(move || {
                let failed = work(fixture, &format!("w{worker}"), worker % 2 == 0);
                failures.lock().expect("no worker panicked").extend(failed);
            });
        }
    });
    let failures = failures.into_inner().expect("no worker panicked");
    tell(format!(
        "{CYCLES} cycles of ADD and DEL by {WORKERS} workers in {} s, {} failed",
        started.elapsed().as_secs(),
        failures.len()
    ));
    assert!(failures.is_empty(), "{} of {CYCLES} cycles failed:\n{}", failures.len(), failures.join("\n"));
    before.wait_unchanged();
}

/// A worker's share of the cycles, in one network namespace or in a new one each time. Returns the failures.
fn work(fixture: &Fixture, name: &str, keeps: bool) -> Vec<String> {
    if keeps {
        netns("add", name);
    }
    let cycles = (0..CYCLES / WORKERS).map(|_| {
        if keeps {
            return cycle(fixture, name);
        }
        netns("add", name);
        let done = cycle(fixture, name);
        netns("delete", name);
        done
    });
    let failures = cycles.filter_map(Result::err).collect();
    if keeps {
        netns("delete", name);
    }
    failures
}

fn cycle(fixture: &Fixture, name: &str) -> Result<(), String> {
    for verb in ["add", "del"] {
        let path = format!("/run/netns/{name}");
        let output = fixture.cnispawn(&[verb, &fixture.net, &path]).output().expect("cnispawn runs");
        if !output.status.success() {
            return Err(format!("{verb}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(())
}

fn netns(verb: &str, name: &str) {
    succeed(Command::new("ip").args(["netns", verb, name]));
}
