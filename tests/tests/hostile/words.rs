//! Words that have done harm elsewhere, and strategies that put them where a word is wanted.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Words for programs that make paths, options, templates, YAML or terminals' lines of them. `OUTSIDE` becomes the path
/// of the directory that must not be touched.
pub(crate) const NASTY: [&str; 44] = [
    "",
    ".",
    "..",
    "/",
    "//",
    "~",
    "-",
    "--",
    "*",
    "../../outside",
    "../../../../outside/passwd",
    "OUTSIDE",
    "OUTSIDE/passwd",
    "OUTSIDE/./etc/../passwd",
    "/proc/self/root",
    "/dev/zero",
    "/dev/stdin",
    "a/b",
    "a\0b",
    "a\nb",
    "a\r\nansible_connection: local",
    "a\tb",
    "\u{1b}[2J\u{1b}]0;x\u{7}",
    "\u{202e}gnp.exe",
    "\u{feff}a",
    "-oProxyCommand=touch OUTSIDE/passwd",
    "root -o ProxyCommand=touch${IFS}OUTSIDE/passwd",
    "--state-dir=OUTSIDE",
    "{{ lookup('ansible.builtin.pipe', 'touch OUTSIDE/passwd') }}",
    "{% for x in range(9) %}{% endfor %}",
    "{# #}",
    "!unsafe x",
    "!!python/object/apply:os.system ['touch OUTSIDE/passwd']",
    "&a *a",
    "<<: *a",
    "x: y",
    "- x",
    "\"'`$(touch OUTSIDE/passwd)`;touch OUTSIDE/passwd",
    "%h%n%d",
    "${HOME}",
    "a,upperdir=OUTSIDE,workdir=OUTSIDE",
    "a:OUTSIDE",
    "a\\,b",
    "no",
];

/// A word for a field.
pub(crate) fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&NASTY[..]).prop_map(str::to_owned),
        2 => "\\PC{0,40}",
        1 => any::<String>(),
        1 => (1_usize..9000, select(vec!["a", "../", "/", "a.", "{"])).prop_map(|(times, part)| part.repeat(times)),
        1 => (select(&NASTY[..]), select(&NASTY[..])).prop_map(|(a, b)| format!("{a}{b}")),
    ]
}

/// A value for a field that wants a word.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => word().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => word().prop_map(|word| json!([word])),
        1 => word().prop_map(|word| json!({"a": word})),
        1 => (1_usize..200).prop_map(|deep| (0..deep).fold(Value::Null, |inner, _| json!([inner]))),
    ]
}

/// `record` with some of its fields replaced; `fields` are JSON pointers (RFC 6901).
pub(crate) fn changed(record: Value, fields: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let changes = prop::collection::vec((select(fields), prop::option::weighted(0.9, value())), 1..4);
    changes.prop_map(move |changes| {
        let mut record = record.clone();
        for (field, value) in changes {
            if let Some(place) = record.pointer_mut(field) {
                *place = value.unwrap_or_default();
            }
        }
        record
    })
}
