//! GC and STATUS, of networks and of what is left in the cache.

use serde_json::json;

use super::case::{Case, chain};
use super::reason::Reason;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in super::versions::VERSIONS {
        for steps in ["gc", "add gc gc", "add lose-netns gc gc"] {
            let case = gc(&format!("version {version:?}: {steps}"), version, steps);
            let case = if version == "1.1.0" { case.because(Reason::ValidAttachments) } else { case };
            cases.push(if steps == "add gc gc" { case.because(Reason::LiveAttachments) } else { case });
        }
        let status = Case::new(format!("version {version:?}: status"), version, &chain(2), "status");
        cases.push(status.because(Reason::StatusVersions));
    }
    cases.extend(stale());
    cases.extend(disabled());
    cases.extend(statuses());
    cases
}

/// What GC makes of attachments whose network namespace is gone.
fn stale() -> impl Iterator<Item = Case> {
    let steps = [
        "add second-interface add lose-netns gc",
        "add lose-netns forget-env gc",
        "add damage-cache lose-netns gc",
        "add lose-netns damage-cache gc",
        "add lose-netns del gc",
        "add bare-cache lose-netns gc",
        // Of another network, whose name begins in the same way.
        "add add:net-2 lose-netns gc gc:net-2",
        "add:net-2 lose-netns gc",
    ];
    let steps = steps.into_iter().map(|steps| gc(steps, "1.1.0", steps));
    let failures = ["one.GC", "two.GC", "one.DEL", "two.DEL"].map(|at| {
        let busy = json!({"ReportError": "busy", "ReportErrorCode": 11});
        let case = gc(&format!("{at} fails"), "1.1.0", "add lose-netns gc gc").noop(at, busy);
        match at {
            // The first attempt ends there, so that none of the later ones is more than going on.
            "two.DEL" => case.because(Reason::DelGoesOn),
            "one.DEL" => case.because(Reason::DelAgain),
            _ => case,
        }
    });
    let collected = steps.chain(failures).map(|case| case.because(Reason::ValidAttachments));
    collected.chain([gc("add lose-netns lose-plugins gc", "1.1.0", "add lose-netns lose-plugins gc")])
}

fn disabled() -> impl Iterator<Item = Case> {
    [json!(true), json!("true"), json!(false)].into_iter().map(|disabled| {
        let list = json!({"cniVersion": "1.1.0", "name": "net", "disableGC": disabled, "plugins": chain(2)});
        let files = [("50-net.conflist", &*list.to_string())];
        let case = Case::with_files(format!("gc: disableGC is {disabled}"), "1.1.0", &files, "add lose-netns gc del");
        if disabled == false { case.because(Reason::ValidAttachments) } else { case }
    })
}

fn statuses() -> Vec<Case> {
    let status = |name: &str, plugins, steps| {
        let case = Case::new(format!("status: {name}"), "1.1.0", &plugins, steps);
        case.because(Reason::StatusVersions)
    };
    let failing = |plugin: &str, how: &str| {
        let case = status(&format!("{plugin} {how}"), chain(2), "status add del status");
        if plugin == "one" { case.because(Reason::StatusGoesOn) } else { case }
    };
    let mut cases = Vec::new();
    for plugin in ["one", "two"] {
        let at = format!("{plugin}.STATUS");
        for code in [50, 51] {
            let debug = json!({"ReportError": "no", "ReportErrorCode": code});
            cases.push(failing(plugin, &format!("says {code}")).noop(&at, debug));
        }
        cases.push(failing(plugin, "exits without a word").script(&at, "exit 3"));
        cases.push(failing(plugin, "is killed").script(&at, "kill -9 $$"));
        let garbage = status(&format!("{plugin} prints garbage"), chain(2), "status");
        cases.push(garbage.script(&at, "echo garbage"));
    }
    cases.push(status("a plugin is missing", json!([{"type": "one"}, {"type": "nowhere"}]), "status"));
    cases.push(status("a plugin is not executable", json!([{"type": "one"}, {"type": "plain"}]), "status"));
    let declaring =
        status("a capability is declared", json!([{"type": "one", "capabilities": {"mac": true}}]), "status");
    cases.push(declaring.env("CAP_ARGS", r#"{"mac": "x"}"#));
    cases
}

fn gc(name: &str, version: &str, steps: &'static str) -> Case {
    let plugins = json!([{"type": "one", "capabilities": {"mac": true}}, {"type": "two"}]);
    let mut case = Case::new(format!("gc: {name}"), version, &plugins, steps);
    let other = serde_json::json!({"cniVersion": "1.1.0", "name": "net-2", "plugins": plugins});
    case.files.push(("60-other.conflist".to_owned(), other.to_string()));
    case.env("CNI_ARGS", "A=1;B=2").env("CAP_ARGS", r#"{"mac": "02:00:00:00:00:09"}"#)
}
