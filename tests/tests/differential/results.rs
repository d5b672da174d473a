//! What a plugin reports, in whichever form, to a chain of whichever version.

use serde_json::{Value, json};

use super::case::{Case, chain, result};
use super::reason::Reason;
use super::versions::VERSIONS;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in VERSIONS {
        for form in ["0.1.0", "0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
            for length in [1, 2] {
                let name = format!("version {version:?}, {length} plugins: a result of {form}");
                let case = Case::new(name, version, &chain(length), "add check del").result(&result(form));
                let own = if version.is_empty() { "0.1.0" } else { version };
                cases.push(if form == own {
                    case
                } else {
                    case.instead(Reason::Converted, |case| case.result(&converted(form, version)))
                });
            }
        }
        for (name, mut reported) in
            [("a result without a version", result(version)), ("a result with an empty version", result(version))]
        {
            if name.contains("empty") {
                reported["cniVersion"] = "".into();
            } else {
                reported.as_object_mut().expect("one").remove("cniVersion");
            }
            cases.push(
                Case::new(format!("version {version:?}: {name}"), version, &chain(2), "add check del")
                    .result(&reported),
            );
        }
        let name = format!("version {version:?}: an empty result");
        cases.push(Case::new(name, version, &chain(2), "add check del").result(&json!({})));
        let injected = Case::new(format!("version {version:?}: DNS injected"), version, &chain(2), "add check del");
        cases.push(injected.noop("two.ADD", json!({"ReportResult": "INJECT-DNS"})));
    }
    cases
}

/// The result of one version as it is in another.
fn converted(from: &str, to: &str) -> Value {
    let mut result = result(to);
    // Before 0.3.0 there were no interfaces.
    if from < "0.3.0" && !to.is_empty() && to >= "0.3.0" {
        result.as_object_mut().expect("one").remove("interfaces");
        result["ips"][0].as_object_mut().expect("one").remove("interface");
    }
    result
}
