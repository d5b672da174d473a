//! Plugins that fail, each in its way, at each place of a chain, on each command.

use serde_json::json;

use super::case::{Case, PLUGINS, chain};
use super::reason::Reason;

const FAILURES: [(&str, &str); 5] = [
    ("exits without a word", "exit 3"),
    ("exits with a word", "echo why >&2; exit 3"),
    ("exits with garbage", "echo garbage; exit 1"),
    ("exits with a result", "echo '{\"cniVersion\": \"1.0.0\"}'; exit 1"),
    ("is killed", "kill -9 $$"),
];

/// After which only ADD has failed, since it wants a result.
const SUCCESSES: [(&str, &str); 2] =
    [("says garbage and succeeds", "echo garbage"), ("says nothing and succeeds", "exit 0")];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut codes = [1, 7, 11, 100, 999].into_iter().cycle();
    for at in places() {
        let code = codes.next().expect("it begins anew");
        let debug = json!({"ReportError": "so it is", "ReportErrorCode": code, "ReportStderr": "and loudly\n"});
        cases.push(failing(case(&format!("{at} fails with {code}")).noop(&at, debug), &at));
        for (how, script) in FAILURES {
            cases.push(failing(case(&format!("{at} {how}")).script(&at, script), &at));
        }
        for (how, script) in SUCCESSES {
            let case = case(&format!("{at} {how}")).script(&at, script);
            cases.push(if at.ends_with("ADD") { failing(case, &at) } else { case });
        }
        let error = case(&format!("{at} prints an error and succeeds"));
        let error = error.script(&at, r#"echo '{"cniVersion": "1.0.0", "code": 7, "msg": "x"}'"#);
        cases.push(if at.ends_with("ADD") { error.because(Reason::UnknownFields) } else { error });
    }
    cases.extend(unusable());
    cases
}

/// Programs that are not there, or cannot be executed, at each place.
fn unusable() -> impl Iterator<Item = Case> {
    let case = |name: &str, plugin: &str, place: usize| {
        let mut plugins = chain(3);
        plugins[place]["type"] = plugin.into();
        Case::new(format!("plugin {place} is {name}"), "1.0.0", &plugins, "add check del")
    };
    let unusable =
        [("missing", "nowhere"), ("a folder", "folder"), ("a path", "../bin/one"), ("not executable", "plain")];
    let unusable = unusable.into_iter().flat_map(move |(name, plugin)| {
        (0..3).map(move |place| match (case(name, plugin, place), place) {
            (case, 0) => case,
            (case, _) => case
                .because(Reason::UnaddedCheck)
                .because(Reason::DelGoesOn)
                .instead(Reason::FirstFind, |case| case.steps("refused check del")),
        })
    });
    // What the kernel alone can tell.
    let no_program = (0..3).map(move |place| {
        let case = case("no program", "garbage", place).steps("add check del del");
        let reasons: &[Reason] = match place {
            0 => &[Reason::Rollback],
            1 => &[Reason::Rollback, Reason::UnaddedCheck, Reason::PartialResult, Reason::DelGoesOn],
            // DEL begins with the last, where cnitool ends.
            _ => &[Reason::Rollback, Reason::UnaddedCheck, Reason::DelGoesOn],
        };
        reasons.iter().fold(case, |case, &reason| case.because(reason))
    });
    unusable.chain(no_program)
}

/// What follows from a failure: cnitool leaves it at that.
fn failing(case: Case, at: &str) -> Case {
    match at {
        "two.DEL" | "three.DEL" => case.because(Reason::DelGoesOn),
        _ if at.ends_with("ADD") => case.because(Reason::Rollback).because(Reason::UnaddedCheck),
        _ => case,
    }
}

/// Each plugin on each command.
fn places() -> impl Iterator<Item = String> {
    ["ADD", "CHECK", "DEL"].into_iter().flat_map(|command| PLUGINS.map(|plugin| format!("{plugin}.{command}")))
}

fn case(name: &str) -> Case {
    Case::new(name, "1.0.0", &chain(3), "add check del del")
}
