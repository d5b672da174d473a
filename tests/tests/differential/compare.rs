//! Run all cases, and tell how many are equal, and how many differ for which reason.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Mutex;
use std::thread;

use super::case::Case;
use super::host::Host;
use super::judge::{Sights, judge};
use super::reason::{REASONS, Reason};
use super::tools::{Programs, Tool};
use super::{
    arguments, capabilities, chains, collection, conversions, discovery, failures, results, sequences, shapes, versions,
};

#[test]
fn cnispawn_does_what_cnitool_does_but_for_good_reasons() {
    let programs = Programs::build();
    let cases = all();
    let count = cases.len();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), count, "each case has a name of its own");
    let left = Mutex::new(cases.iter());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(4) {
            scope.spawn(|| work(&programs, &left, &wrong));
        }
    });
    let wrong = wrong.into_inner().expect("no worker panicked");
    assert!(wrong.is_empty(), "{}\n{} of {count} cases are not as they say", wrong.join("\n"), wrong.len());
    assert!(count >= 150, "{count} cases");
    // Not by print!, which the test harness keeps to itself when all is well.
    write!(io::stdout(), "\n{}", table(&cases)).expect("printed");
}

fn all() -> Vec<Case> {
    let subjects = [
        versions::cases(),
        chains::cases(),
        discovery::cases(),
        capabilities::cases(),
        arguments::cases(),
        results::cases(),
        failures::cases(),
        sequences::cases(),
        collection::cases(),
        conversions::cases(),
        shapes::cases(),
    ];
    subjects.into_iter().flatten().collect()
}

fn work<'c>(programs: &Programs, left: &Mutex<impl Iterator<Item = &'c Case>>, wrong: &Mutex<Vec<String>>) {
    let host = Host::new(programs);
    let next = || left.lock().expect("no worker panicked").next();
    while let Some(case) = next() {
        let sights = Sights {
            theirs: host.run(Tool::Cnitool, case),
            instead: case.instead.as_ref().map(|(_, case)| host.run(Tool::Cnitool, case)),
            ours: host.run(Tool::Cnispawn, case),
        };
        if let Err(text) = judge(case, &sights) {
            wrong.lock().expect("no worker panicked").push(text);
        }
    }
}

/// As the cases have it: that it is so is what the test asserts.
fn table(cases: &[Case]) -> String {
    let reasons = |case: &Case| -> BTreeSet<Reason> {
        case.reasons.iter().copied().chain(case.instead.as_ref().map(|(reason, _)| *reason)).collect()
    };
    let equal = cases.iter().filter(|case| reasons(case).is_empty()).count();
    let mut table = format!("{:>5} cases\n{equal:>5} equal\n", cases.len());
    for (reason, why) in REASONS {
        let needed = cases.iter().filter(|case| reasons(case).contains(&reason)).count();
        assert!(needed > 0, "{reason:?} is needed by no case");
        table += &format!("{needed:>5} {reason:?}: {why}\n");
    }
    table
}
