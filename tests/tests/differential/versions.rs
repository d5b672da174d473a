//! Every version of the specification, by itself and chosen from several.

use serde_json::{Value, json};

use super::case::{Case, chain, result};
use super::reason::Reason;

/// All versions, and none.
pub(crate) const VERSIONS: [&str; 8] = ["", "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in VERSIONS {
        let mut single = json!({"name": "net", "type": "one", "more": [{"x": 1}]});
        if !version.is_empty() {
            single["cniVersion"] = version.into();
        }
        for extension in ["conf", "json"] {
            let file = format!("10-net.{extension}");
            let name = format!("version {version:?}: a single plugin in a .{extension} file");
            cases.push(Case::with_files(name, version, &[(&file, &single.to_string())], "add check del"));
        }
        for length in 1..=3 {
            let name = format!("version {version:?}: a list of {length}");
            cases.push(Case::new(name, version, &chain(length), "add check del"));
        }
    }
    cases.extend(selected());
    cases.extend(malformed());
    cases
}

/// `cniVersion` and `cniVersions`, and which is the highest that a runtime of 1.1.0 knows.
fn selected() -> impl Iterator<Item = Case> {
    let lists = [
        (None, json!(["0.3.1", "1.0.0"]), "1.0.0"),
        (None, json!(["1.0.0", "0.4.0", "0.3.1"]), "1.0.0"),
        (None, json!(["0.4.0", "1.1.0", "1.2.0", "9.0.0"]), "1.1.0"),
        (None, json!(["0.10.0", "0.4.0"]), "0.10.0"),
        (Some("0.4.0"), json!(["0.3.1", "1.0.0"]), "1.0.0"),
        (Some("1.0.0"), json!(["0.3.1", "0.4.0"]), "1.0.0"),
        (Some("1.0.0"), json!(["1.0.0"]), "1.0.0"),
        (Some("1.0.0"), json!([]), "1.0.0"),
        (Some("0.4.0"), json!(["1.2.0"]), "0.4.0"),
        (Some("1.2.0"), json!(["1.0.0"]), "1.0.0"),
        (Some("1.2.0"), json!(["1.3.0"]), "1.2.0"),
        (None, json!(["2.0.0"]), ""),
        (None, json!([]), ""),
        (Some(""), json!(["1.0.0"]), "1.0.0"),
        (None, json!(["1.0", "0.4.0"]), "1.0"),
    ];
    lists.into_iter().map(|(one, several, selected)| {
        let mut list = json!({"name": "net", "cniVersions": several, "plugins": chain(2)});
        if let Some(version) = one {
            list["cniVersion"] = version.into();
        }
        let name = format!("cniVersion {one:?} and cniVersions {several}");
        let case = listed(&name, &list, selected, "status add check del gc").because(Reason::StatusVersions);
        let case = if VERSIONS.contains(&selected) { case } else { refused(case).because(Reason::DelGoesOn) };
        let case = if selected >= "1.1.0" { case.because(Reason::ValidAttachments) } else { case };
        // "1.0" is 1.0.0, but not to noop, which compares what is written.
        if ["0.10.0", "1.0", "1.2.0"].contains(&selected) { case.because(Reason::StatusUnspoken) } else { case }
    })
}

/// What is no version, or none that a plugin knows.
fn malformed() -> impl Iterator<Item = Case> {
    let lone = |version: Value| {
        let list = json!({"name": "net", "cniVersion": version, "plugins": chain(1)});
        listed(&format!("cniVersion {version}"), &list, "1.0.0", "add check del gc")
    };
    let unknown = refused(lone(json!("1.2.0"))).because(Reason::ValidAttachments);
    let short = [json!("1"), json!("1.0")].map(lone).map(refused);
    // cnitool finds out after ADD, and before DEL.
    let none = [json!("one"), json!("1.0.0.0"), json!("v1.0.0")].map(lone);
    let none = none.map(|case| {
        let case = case.because(Reason::Rollback).because(Reason::DelGoesOn).steps("status add check del gc");
        case.because(Reason::StatusVersions).because(Reason::StatusUnspoken)
    });
    let other_types = [json!(1), json!(null)].map(lone);
    let several = [json!("1.0.0"), json!([1]), json!(["one"]), json!([null]), json!([""]), json!({}), json!(null)];
    let several = several.map(|versions| {
        let list = json!({"name": "net", "cniVersion": "1.0.0", "cniVersions": versions, "plugins": chain(1)});
        listed(&format!("cniVersions {versions}"), &list, "1.0.0", "add check del gc")
    });
    [unknown].into_iter().chain(short).chain(none).chain(other_types).chain(several)
}

/// The plugin does not speak the version, on any command.
fn refused(case: Case) -> Case {
    case.because(Reason::Rollback).because(Reason::UnaddedCheck)
}

fn listed(name: &str, list: &Value, version: &str, steps: &'static str) -> Case {
    let case = Case::with_files(name, version, &[("50-net.conflist", &list.to_string())], steps);
    case.result(&result(version))
}
