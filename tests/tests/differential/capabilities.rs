//! Capability arguments: which plugin is given which.

use serde_json::{Value, json};

use super::case::Case;
use super::reason::Reason;

pub(crate) fn cases() -> Vec<Case> {
    let arguments = [
        ("ips", json!(["10.1.0.9/24", "fd00::9/64"])),
        ("mac", json!("02:00:00:00:00:09")),
        ("portMappings", json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}])),
        ("bandwidth", json!({"ingressRate": 2048, "ingressBurst": 1600})),
    ];
    let mut cases = Vec::new();
    for (capability, argument) in &arguments {
        let given = json!({*capability: argument}).to_string();
        for (how, declared) in [
            ("not declared", json!([{"type": "one"}, {"type": "two"}])),
            ("declared", json!([{"type": "one", "capabilities": {*capability: true}}, {"type": "two"}])),
            ("declared by the second", json!([{"type": "one"}, {"type": "two", "capabilities": {*capability: true}}])),
            ("declared false", json!([{"type": "one", "capabilities": {*capability: false}}, {"type": "two"}])),
        ] {
            cases.push(case(&format!("{capability} given, {how}"), &declared).env("CAP_ARGS", &given));
        }
        let declared = json!([{"type": "one", "capabilities": {*capability: true}}]);
        cases.push(case(&format!("{capability} declared, not given"), &declared));
    }
    let all: Value =
        arguments.iter().map(|(capability, argument)| ((*capability).to_owned(), argument.clone())).collect();
    let both = json!([
        {"type": "one", "capabilities": {"ips": true, "mac": true, "unknown": true}},
        {"type": "two", "capabilities": {"portMappings": true, "bandwidth": false, "mac": true}},
    ]);
    cases.push(case("all given, each plugin its own", &both).env("CAP_ARGS", all.to_string()));
    cases.extend(odd(&both));
    cases
}

/// Arguments and declarations that are unusual.
fn odd(both: &Value) -> impl Iterator<Item = Case> {
    let odd = [
        "",
        "{}",
        "[]",
        "{",
        "5",
        "\"mac\"",
        r#"{"mac": null}"#,
        r#"{"mac": [], "ips": {}}"#,
        r#"{"mac": 1, "mac": 2}"#,
        "{} x",
    ];
    let odd = odd.map(|arguments| case(&format!("{arguments:?}"), both).env("CAP_ARGS", arguments));
    let declarations = [json!(null), json!({}), json!([]), json!("mac"), json!({"mac": "true"}), json!({"mac": 1})];
    let declarations = declarations.map(|capabilities| {
        let plugins = json!([{"type": "one", "capabilities": capabilities}]);
        case(&format!("declared as {capabilities}"), &plugins).env("CAP_ARGS", r#"{"mac": "x"}"#)
    });
    let null = case("\"null\"", both).env("CAP_ARGS", "null");
    let null = null.instead(Reason::Types, |case| case.env("CAP_ARGS", "[]"));
    let declared = case("declared as {\"mac\":null}", &json!([{"type": "one", "capabilities": {"mac": null}}]));
    let declared = declared.instead(Reason::Types, Case::without_files);
    let exact =
        case("an exact number", both).env("CAP_ARGS", r#"{"mac": 9007199254740993}"#).because(Reason::ExactNumbers);
    let replaced = json!([{"type": "one", "capabilities": {"mac": true}, "runtimeConfig": {"mac": "own", "more": 1}}]);
    let replaced = case("instead of the file's own runtimeConfig", &replaced).env("CAP_ARGS", r#"{"mac": "x"}"#);
    odd.into_iter().chain(declarations).chain([null, declared, exact, replaced])
}

fn case(name: &str, plugins: &Value) -> Case {
    Case::new(format!("capabilities: {name}"), "1.0.0", plugins, "add check del")
}
