//! What a tool is seen to do: what it printed, which plugins it executed with what, and what it keeps.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What is compared after a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Exit,
    Runs,
    Printed,
    Cache,
}

/// All of it.
pub(crate) const KINDS: [Kind; 4] = [Kind::Exit, Kind::Runs, Kind::Printed, Kind::Cache];

/// What was seen after a step.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Whether the status was 0: cnitool knows only 0 and 1.
    pub(crate) succeeded: bool,
    /// Executions in order: each one's `plugin`, whole environment `env`, and `stdin`.
    pub(crate) runs: Vec<Value>,
    /// Standard output.
    pub(crate) printed: Value,
    /// The cache's files by name: each one's `mode` and `content`.
    pub(crate) cache: BTreeMap<String, Value>,
    /// Not compared: each tool has words of its own.
    pub(crate) stderr: String,
    /// Whether there was a network namespace. Not compared.
    pub(crate) has_netns: bool,
}

impl Seen {
    /// One thing to compare.
    pub(crate) fn part(&self, kind: Kind) -> Value {
        match kind {
            Kind::Exit => json!(self.succeeded),
            Kind::Runs => json!(self.runs),
            Kind::Printed => self.printed.clone(),
            Kind::Cache => json!(self.cache),
        }
    }
}

/// CNI_COMMAND of an execution.
pub(crate) fn command(run: &Value) -> &str {
    run["env"]["CNI_COMMAND"].as_str().unwrap_or_default()
}

/// Look, and forget the executions that have been seen.
pub(crate) fn after(output: &Output, log: &Path, cache: &Path, netns: &Path) -> Seen {
    let mut printed = parsed(&output.stdout);
    normalise(&mut printed);
    Seen {
        succeeded: output.status.success(),
        runs: take_runs(log),
        printed,
        cache: read_cache(&cache.join("results")),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        has_netns: netns.exists(),
    }
}

/// What cannot matter in a result: a list or a `dns` that is empty is as good as none. libcni writes `"routes": []` or
/// not, depending on the version that it has converted from.
fn normalise(result: &mut Value) {
    let Some(result) = result.as_object_mut() else { return };
    if let Some(dns) = result.get_mut("dns").and_then(Value::as_object_mut) {
        dns.retain(|_, value| !is_empty(value));
    }
    result.retain(|key, value| !(["interfaces", "ips", "routes", "dns"].contains(&key.as_str()) && is_empty(value)));
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// JSON if it is, else text.
fn parsed(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    let mut value = serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into());
    evaluate(&mut value);
    value
}

/// Write numbers in one way: 1e3 and 1000 are one number, of which libcni writes the second.
fn evaluate(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            // Up to here a double has each whole number.
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 2_f64.powi(53));
            if let Some(Ok(whole)) = whole.map(|n| format!("{n:.0}").parse::<i64>()) {
                *value = whole.into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(evaluate),
        Value::Object(values) => values.values_mut().for_each(evaluate),
        _ => {}
    }
}

fn take_runs(log: &Path) -> Vec<Value> {
    let read = |n: usize, what: &str| fs::read(log.join(format!("{n}.{what}"))).ok();
    let mut runs = Vec::new();
    while let Some(stdin) = read(runs.len() + 1, "stdin") {
        let n = runs.len() + 1;
        let environ = read(n, "environ").expect("recorded");
        let plugin = String::from_utf8(read(n, "plugin").expect("recorded")).expect("a name");
        let mut stdin = parsed(&stdin);
        if let Some(previous) = stdin.get_mut("prevResult") {
            normalise(previous);
        }
        runs.push(json!({"plugin": plugin, "env": environment(&environ), "stdin": stdin}));
    }
    for n in 1..=runs.len() {
        for what in ["stdin", "environ", "plugin"] {
            fs::remove_file(log.join(format!("{n}.{what}"))).expect("removed");
        }
    }
    runs
}

fn environment(environ: &[u8]) -> Map<String, Value> {
    let variables = environ.split(|&byte| byte == 0).filter(|variable| !variable.is_empty());
    let pairs = variables.map(|variable| String::from_utf8_lossy(variable).into_owned());
    pairs.filter_map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.into()))).collect()
}

/// The files of the cache.
pub(crate) fn read_cache(results: &Path) -> BTreeMap<String, Value> {
    let files = fs::read_dir(results).into_iter().flatten().flatten();
    files.map(|file| (file.file_name().to_string_lossy().into_owned(), read_cached(&file.path()))).collect()
}

/// The content, with the configuration in it decoded, and the file's permissions.
fn read_cached(path: &Path) -> Value {
    let mut content = parsed(&fs::read(path).expect("readable"));
    if let Some(config) = content.get_mut("config") {
        let decoded = config.as_str().and_then(|text| STANDARD.decode(text).ok());
        *config = parsed(&decoded.expect("Go's encoding/json writes []byte as base64"));
    }
    if let Some(result) = content.get_mut("result") {
        normalise(result);
    }
    let mode = fs::metadata(path).expect("there").permissions().mode() & 0o777;
    json!({"mode": format!("{mode:o}"), "content": content})
}
