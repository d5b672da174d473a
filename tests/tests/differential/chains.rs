//! Where a network's plugins come from, and what a list may say beside them.

use serde_json::{Value, json};

use super::case::{Case, chain, merged};
use super::reason::Reason;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in super::versions::VERSIONS {
        let list = |more: &Value| {
            let mut list = json!({"name": "net"});
            if !version.is_empty() {
                list["cniVersion"] = version.into();
            }
            merged(list, more).to_string()
        };
        let two = json!({"type": "two", "x": {"y": [1]}}).to_string();
        let three = json!({"type": "three", "cniVersion": "0.2.0", "name": "other"}).to_string();
        let folder = [("net/20-two.conf", two.as_str()), ("net/30-three.conf", three.as_str())];
        for (name, list) in [
            ("plugins in the list and in a folder", list(&json!({"plugins": chain(1)}))),
            (
                "loadOnlyInlinedPlugins, and a folder",
                list(&json!({"plugins": chain(1), "loadOnlyInlinedPlugins": true})),
            ),
        ] {
            let mut files = folder.to_vec();
            files.push(("50-net.conflist", &list));
            cases.push(Case::with_files(format!("version {version:?}: {name}"), version, &files, "add check del"));
        }
        let alone = list(&json!({}));
        let files = [("net/10-one.conf", r#"{"type": "one"}"#), folder[0], ("50-net.conflist", &alone)];
        let name = format!("version {version:?}: all plugins in a folder");
        cases.push(Case::with_files(name, version, &files, "add check del"));
    }
    cases.extend(folders());
    cases.extend(lists());
    cases.extend(passed());
    cases
}

/// Files in the folder that are no plugin, or not of this network.
fn folders() -> impl Iterator<Item = Case> {
    let folders: [(&str, &[(&str, &str)]); 9] = [
        (
            "a folder with other files",
            &[("net/a.json", "{"), ("net/b.conflist", "{"), ("net/c", "{"), ("net/d.conf.bak", "{")],
        ),
        ("a folder with a folder", &[("net/x.conf/y", "{")]),
        ("an empty folder", &[("net/readme", "")]),
        ("a folder with a malformed file", &[("net/10-bad.conf", "{")]),
        ("a folder with an empty file", &[("net/10-bad.conf", "")]),
        ("a folder with a plugin without a type", &[("net/10-bad.conf", "{}")]),
        ("a folder with a list", &[("net/10-bad.conf", "[]")]),
        ("the order of a folder", &[("net/9.conf", r#"{"type": "two"}"#), ("net/10.conf", r#"{"type": "three"}"#)]),
        ("another network's folder", &[("other/10.conf", r#"{"type": "two"}"#)]),
    ];
    folders.into_iter().map(|(name, folder)| {
        let list = json!({"cniVersion": "1.0.0", "name": "net", "plugins": chain(1)}).to_string();
        let files = [folder, &[("50-net.conflist", list.as_str())]].concat();
        Case::with_files(name, "1.0.0", &files, "add check del")
    })
}

/// Lists that are unusual, or none.
fn lists() -> impl Iterator<Item = Case> {
    let one = || json!({"type": "one"});
    let lists = [
        json!({"plugins": []}),
        json!({"plugins": {}}),
        json!({"plugins": null}),
        json!({"loadOnlyInlinedPlugins": true}),
        json!({"loadOnlyInlinedPlugins": "true", "plugins": [one()]}),
        json!({"loadOnlyInlinedPlugins": 1, "plugins": [one()]}),
        json!({"plugins": [{}]}),
        json!({"plugins": [one(), {"type": ""}]}),
        json!({"plugins": [one(), {"type": 2}]}),
        json!({"plugins": ["one"]}),
        json!({"plugins": [one(), null]}),
        json!({"plugins": [{"type": "../bin/one"}]}),
        json!({"plugins": [{"type": "one", "name": "other", "cniVersion": "0.3.1"}]}),
        json!({"plugins": [{"type": "one", "ipam": {}}]}),
        json!({"plugins": [{"type": "one", "ipam": {"type": ""}}]}),
        json!({"plugins": [{"type": "one", "ipam": {"type": "two", "subnet": "10.1.0.0/16"}}]}),
        json!({"plugins": [{"type": "one", "ipam": null}]}),
        json!({"plugins": [{"type": "one", "dns": {"nameservers": ["10.1.0.1"]}}]}),
        json!({"plugins": [{"type": "one", "prevResult": {"cniVersion": "1.0.0"}}]}),
        json!({"plugins": [{"type": "one", "runtimeConfig": {"mac": "x"}, "args": {"cni": {}}}]}),
        json!({"plugins": [{"type": "one", "cni.dev/x": 1, "cni.dev/valid-attachments": []}]}),
        json!({"plugins": [{"type": "one", "text": "<&>\u{2028}\u{e9}\u{0}", "empty": {}, "null": null}]}),
        json!({"plugins": [{"type": "one", "numbers": [0, -1, 1.5, 1e3, 4294967296u64]}]}),
        json!({"plugins": [one(), one(), one()]}),
        json!({"plugins": [one()], "unknown": {"a": 1}, "disableCheck": false}),
        json!({"plugins": [one()], "disableCheck": true}),
        json!({"plugins": [one()], "disableCheck": "TRUE"}),
        json!({"plugins": [one()], "disableCheck": "yes"}),
        json!({"plugins": [one()], "disableCheck": 1}),
        json!({"plugins": [one()], "disableCheck": null}),
        json!({"plugins": [one()], "disableGC": "False"}),
        json!({"plugins": [one()], "disableGC": 0}),
    ];
    lists.into_iter().map(|more| {
        let list = merged(json!({"cniVersion": "1.0.0", "name": "net"}), &more);
        let name = format!("a list with {more}");
        Case::with_files(name, "1.0.0", &[("50-net.conflist", &list.to_string())], "add check del")
    })
}

/// A plugin's own fields, which pass through.
fn passed() -> Vec<Case> {
    let with = |more: &Value| {
        let plugin = merged(json!({"type": "one"}), more);
        let case = Case::new(format!("a plugin with {more}"), "1.0.0", &json!([plugin]), "add check del");
        // noop would insist on types of its own.
        let case = case.script("one.ADD", r#"echo '{"cniVersion": "1.0.0"}'"#);
        case.script("one.CHECK", "exit 0").script("one.DEL", "exit 0")
    };
    let opaque =
        [json!({"ipam": "two"}), json!({"ipam": {"type": 5}}), json!({"dns": "10.1.0.1"}), json!({"dns": [1]})];
    let opaque = opaque.map(|fields| {
        let plain = with(&json!({})).files;
        let case = with(&fields).because(Reason::Opaque);
        case.instead(Reason::Opaque, |case| Case { files: plain, ..case })
    });
    let numbers = [json!([9_007_199_254_740_993_u64, -9_007_199_254_740_993_i64]), json!(u64::MAX)];
    let numbers = numbers.map(|numbers| with(&json!({"numbers": numbers})).because(Reason::ExactNumbers));
    let missing = with(&json!({"ipam": {"type": "nowhere"}})).because(Reason::UnaddedCheck);
    let missing = missing.instead(Reason::FirstFind, |case| case.steps("refused check del"));
    let long = json!({"long": "0123456789abcdef".repeat(1 << 14)});
    let long = Case { name: "a plugin with more than a pipe holds".to_owned(), ..with(&long) };
    opaque.into_iter().chain(numbers).chain([missing, long]).collect()
}
