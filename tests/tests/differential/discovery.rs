//! Which file of a directory a network is taken from.

use super::case::Case;
use super::reason::Reason;

/// Lists and single plugins, told apart by their plugin; `other` is not asked for.
const NET: &str = r#"{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "one"}]}"#;
const AGAIN: &str = r#"{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "one", "again": true}]}"#;
const OTHER: &str = r#"{"cniVersion": "1.0.0", "name": "other", "plugins": [{"type": "two"}]}"#;
const SINGLE: &str = r#"{"cniVersion": "1.0.0", "name": "net", "type": "one", "single": true}"#;
const UNNAMED: &str = r#"{"cniVersion": "1.0.0", "type": "one"}"#;

pub(crate) fn cases() -> Vec<Case> {
    let directories: [(&str, &[(&str, &str)]); 28] = [
        ("an empty directory", &[]),
        ("another network only", &[("10.conflist", OTHER)]),
        ("another single network only", &[("10.conf", r#"{"name": "other", "type": "one"}"#)]),
        ("the second file", &[("10.conflist", OTHER), ("20.conflist", NET)]),
        ("the first of two", &[("10.conflist", NET), ("20.conflist", AGAIN)]),
        ("order by bytes", &[("9.conflist", AGAIN), ("10.conflist", NET)]),
        ("a list before a single plugin", &[("10.conf", SINGLE), ("20.conflist", NET)]),
        ("a .json and a .conf", &[("10.json", SINGLE), ("20.conf", SINGLE)]),
        ("other extensions", &[("10.conflist.bak", NET), ("10", NET), ("10.CONFLIST", NET)]),
        ("a name that is only an extension", &[(".conflist", NET)]),
        ("a hidden file", &[(".10.conflist", NET)]),
        ("a folder called .conflist", &[("10.conflist/x", NET), ("20.conflist", NET)]),
        ("a list in a .conf file", &[("10.conf", NET)]),
        ("a single plugin in a .conflist file", &[("10.conflist", SINGLE)]),
        ("a single plugin without a name", &[("10.conf", UNNAMED)]),
        ("a single plugin and a folder", &[("10.conf", SINGLE), ("net/10.conf", r#"{"type": "two"}"#)]),
        (
            "a single plugin with plugins",
            &[("10.conf", r#"{"cniVersion": "1.0.0", "name": "net", "type": "one", "plugins": []}"#)],
        ),
        (
            "a single plugin and disableCheck",
            &[("10.conf", r#"{"cniVersion": "1.0.0", "name": "net", "type": "one", "disableCheck": true}"#)],
        ),
        (
            "spaces around",
            &[(
                "10.conflist",
                " \n{\"cniVersion\": \"1.0.0\", \"name\": \"net\", \"plugins\": [{\"type\": \"one\"}]}\n\n",
            )],
        ),
        ("an empty file", &[("10.conflist", "")]),
        ("a malformed file", &[("10.conflist", "{")]),
        ("a malformed single plugin", &[("10.conf", "{")]),
        ("a malformed file after it", &[("10.conflist", NET), ("20.conflist", "{")]),
        ("a malformed single plugin beside it", &[("10.conf", "{"), ("20.conflist", NET)]),
        ("text after the object", &[("10.conflist", r#"{"name": "net", "plugins": [{"type": "one"}]} x"#)]),
        (
            "a key twice",
            &[(
                "10.conflist",
                r#"{"cniVersion": "1.0.0", "name": "net", "name": "net", "plugins": [{"type": "two", "type": "one"}]}"#,
            )],
        ),
        (
            "a key spelt otherwise",
            &[(
                "10.conflist",
                r#"{"cniVersion": "1.0.0", "name": "net", "Plugins": [], "plugins": [{"type": "one"}]}"#,
            )],
        ),
        ("a byte order mark", &[("10.conflist", "\u{feff}{\"name\": \"net\", \"plugins\": [{\"type\": \"one\"}]}")]),
    ];
    let directories = directories.into_iter().map(|(name, files)| with(name, files));
    let called = |name: &str| {
        let list = serde_json::json!({"cniVersion": "1.0.0", "name": name, "plugins": [{"type": "one"}]});
        let mut case = with(&format!("called {name:?}"), &[("10.conflist", &list.to_string())]);
        name.clone_into(&mut case.network);
        case
    };
    let names = ["a.b_c-d", "0", "A"].map(called);
    let no_names = ["-a", ".a", "a b", "a/b", "\u{e9}", "", "../net"].map(called);
    let no_names = no_names.map(|case| case.instead(Reason::Names, Case::without_files));
    let other_types = ["5", "null", "[]"].into_iter().map(|name| {
        let list = format!(r#"{{"cniVersion": "1.0.0", "name": {name}, "plugins": [{{"type": "one"}}]}}"#);
        with(&format!("called {name}, which is no string"), &[("10.conflist", &list)])
    });
    let missing = with("no directory", &[]).env("NETCONFPATH", "@/nowhere");
    let spelt = [
        with("a type spelt otherwise", &[("10.conflist", r#"{"name": "net", "plugins": [{"Type": "one"}]}"#)]),
        with("a name spelt otherwise", &[("10.conf", r#"{"cniVersion": "1.0.0", "Name": "net", "type": "one"}"#)]),
    ];
    let spelt = spelt.map(|case| case.instead(Reason::Spelling, Case::without_files));
    let null = with("a version that is null", &[("10.conf", r#"{"cniVersion": null, "name": "net", "type": "one"}"#)]);
    let null = null.instead(Reason::Types, Case::without_files);
    directories
        .chain(names)
        .chain(no_names)
        .chain(other_types)
        .chain(neighbours())
        .chain(spelt)
        .chain([missing, null])
        .collect()
}

/// A malformed file before the good one.
fn neighbours() -> impl Iterator<Item = Case> {
    let bad =
        ["", "{", "[]", r#"{"name": "net"}"#, r#"{"name": "other", "plugins": []}"#, r#"{"name": 5, "type": "one"}"#];
    bad.into_iter().flat_map(|bad| {
        [("conflist", NET), ("conf", SINGLE)].map(|(extension, good)| {
            let (first, second) = (format!("10.{extension}"), format!("20.{extension}"));
            let case = with(&format!("{bad:?} in {first}"), &[(&first, bad), (&second, good)]);
            case.instead(Reason::Neighbour, |mut case| {
                case.files.remove(0);
                case
            })
        })
    })
}

fn with(name: &str, files: &[(&str, &str)]) -> Case {
    Case::with_files(format!("discovery: {name}"), "1.0.0", files, "add check del")
}
