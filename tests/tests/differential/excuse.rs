//! Take away what a reason excuses, from what was seen of either tool. What is left must be equal.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::reason::Reason;
use super::seen::{Seen, command};

impl Reason {
    /// Take away what it excuses after a step, and no more. Reasons that are explained by another case of cnitool's
    /// ([`super::case::Case::instead`]) take away nothing.
    pub(crate) fn excuse(self, verb: &str, theirs: &mut Seen, ours: &mut Seen) {
        let both_failed = !theirs.succeeded && !ours.succeeded;
        match self {
            Reason::Rollback if verb == "add" && both_failed => rollback(theirs, ours),
            Reason::UnaddedCheck
                if verb == "check" && !ours.succeeded && ours.runs.is_empty() && ours.cache.is_empty() =>
            {
                theirs.succeeded = false;
                theirs.runs.clear();
            }
            Reason::DelGoesOn if (verb == "del" || verb.starts_with("gc")) && both_failed => {
                only_first(&mut ours.runs, "DEL", &theirs.runs);
            }
            Reason::DelAgain if verb.starts_with("gc") && both_failed => del_again(&mut ours.runs),
            Reason::PartialResult if verb == "del" && theirs.cache.is_empty() => {
                for run in &mut ours.runs {
                    run["stdin"].as_object_mut().map(|stdin| stdin.shift_remove("prevResult"));
                }
            }
            Reason::UnknownFields => each_result(theirs, ours, drop_more),
            Reason::AsWritten => each_result(theirs, ours, |theirs, ours| {
                each(theirs, &mut canonical);
                each(ours, &mut canonical);
            }),
            Reason::ExactNumbers => {
                each_value(theirs, &mut double);
                each_value(ours, &mut double);
            }
            Reason::Opaque => {
                each_value(theirs, &mut without_opaque);
                each_value(ours, &mut without_opaque);
            }
            Reason::ValidAttachments if verb.starts_with("gc") => valid_attachments(ours),
            Reason::LiveAttachments if verb.starts_with("gc") && theirs.has_netns && theirs.cache.is_empty() => {
                theirs.runs.retain(|run| command(run) != "DEL");
                ours.cache.clear();
            }
            Reason::StatusVersions if verb == "status" => {
                ours.runs.retain(|run| command(run) != "VERSION");
                if ours.printed.as_str().is_some_and(|table| table.starts_with("PLUGIN ")) {
                    ours.printed = Value::Null;
                }
            }
            Reason::StatusUnspoken
                if verb == "status" && ours.stderr.contains("it does not speak the network's cniVersion") =>
            {
                theirs.succeeded = false;
                theirs.runs.clear();
            }
            Reason::StatusGoesOn if verb == "status" && both_failed => {
                only_first(&mut ours.runs, "STATUS", &theirs.runs);
            }
            _ => {}
        }
    }
}

/// DELs that follow a failed ADD, if they end with those of the plugins that were executed, in reverse.
fn rollback(theirs: &Seen, ours: &mut Seen) {
    let adds = ours.runs.iter().take_while(|run| command(run) == "ADD").count();
    let dels = &ours.runs[adds..];
    let undone = theirs.runs.iter().map(|run| &run["plugin"]);
    let undoing = dels.iter().rev().map(|run| &run["plugin"]).take(theirs.runs.len());
    if dels.iter().all(|run| command(run) == "DEL") && undone.eq(undoing) {
        ours.runs.truncate(adds);
    }
}

/// As many executions with a command as they have, and no more.
fn only_first(runs: &mut Vec<Value>, wanted: &str, theirs: &[Value]) {
    let mut left = theirs.iter().filter(|run| command(run) == wanted).count();
    runs.retain(|run| {
        let more = command(run) == wanted && left == 0;
        left -= usize::from(command(run) == wanted && !more);
        !more
    });
}

/// The same DELs once more, or several times.
fn del_again(runs: &mut Vec<Value>) {
    let mut once: Vec<Value> = Vec::new();
    for run in runs.drain(..) {
        if command(&run) != "DEL" || !once.contains(&run) {
            once.push(run);
        }
    }
    *runs = once;
}

/// The list must be that of the cache, or empty when no network namespace is left; under both of its names.
fn valid_attachments(ours: &mut Seen) {
    let cached = ours.cache.values().filter(|_| ours.has_netns).map(|file| &file["content"]);
    let valid: Value =
        cached.map(|info| json!({"containerID": info["containerId"], "ifname": info["ifName"]})).collect();
    for run in ours.runs.iter_mut().filter(|run| command(run) == "GC") {
        let Some(stdin) = run["stdin"].as_object_mut() else { continue };
        for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
            if stdin.get(key) == Some(&valid) {
                stdin.shift_remove(key);
            }
        }
    }
}

/// Results at the same places: on standard output, in the plugins' configurations, in the cache.
fn each_result(theirs: &mut Seen, ours: &mut Seen, change: fn(&mut Value, &mut Value)) {
    change(&mut theirs.printed, &mut ours.printed);
    for (theirs, ours) in theirs.runs.iter_mut().zip(&mut ours.runs) {
        change(&mut theirs["stdin"]["prevResult"], &mut ours["stdin"]["prevResult"]);
    }
    for (name, ours) in &mut ours.cache {
        if let Some(theirs) = theirs.cache.get_mut(name) {
            change(&mut theirs["content"]["result"], &mut ours["content"]["result"]);
        }
    }
}

/// Drop the fields that we have and they do not.
fn drop_more(theirs: &mut Value, ours: &mut Value) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            ours.retain(|key, _| theirs.contains_key(key));
            for (key, ours) in ours {
                if let Some(theirs) = theirs.get_mut(key) {
                    drop_more(theirs, ours);
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => theirs.iter_mut().zip(ours).for_each(|(t, o)| drop_more(t, o)),
        _ => {}
    }
}

fn each_value(seen: &mut Seen, change: &mut impl FnMut(&mut Value)) {
    seen.runs.iter_mut().for_each(|run| each(run, change));
    seen.cache.values_mut().for_each(|file| each(file, change));
}

fn each(value: &mut Value, change: &mut impl FnMut(&mut Value)) {
    change(value);
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| each(value, change)),
        Value::Object(values) => values.values_mut().for_each(|value| each(value, change)),
        _ => {}
    }
}

/// An address with its prefix length, as Go writes it.
fn canonical(value: &mut Value) {
    let parts = value.as_str().and_then(|text| text.split_once('/'));
    if let Some((Ok(address), prefix)) = parts.map(|(address, prefix)| (address.parse::<IpAddr>(), prefix)) {
        *value = format!("{address}/{prefix}").into();
    }
}

fn double(value: &mut Value) {
    if value.is_number() {
        *value = value.as_f64().into();
    }
}

fn without_opaque(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|key, _| key != "ipam" && key != "dns");
    }
}
