//! Results of ADD that are unusual, or none.

use serde_json::{Value, json};

use super::case::{Case, chain, merged};
use super::reason::Reason;

pub(crate) fn cases() -> Vec<Case> {
    let refused_by_us = refused_by_us()
        .into_iter()
        .map(|result| refused(shape(&result)).instead(Reason::NoResult, |case| case.result(&json!("none"))));
    let more = with_more().into_iter().map(|result| shape(&result).because(Reason::UnknownFields));
    let written = [json!({"ips": [{"address": "fd00:0:0::0002/64"}]}), json!({"routes": [{"dst": "FD00::/8"}]})];
    let written = written.map(|more| shape(&reported(&more)).because(Reason::AsWritten));
    let good = good().into_iter().map(|result| shape(&result));
    let bad = bad().into_iter().map(|result| refused(shape(&result)));
    good.chain(bad).chain(refused_by_us).chain(more).chain(written).chain(texts()).collect()
}

fn good() -> Vec<Value> {
    let good = [
        json!({"interfaces": [], "ips": [], "routes": [], "dns": {}}),
        json!({"interfaces": null, "ips": null, "routes": null, "dns": null}),
        json!({"interfaces": [{"name": "eth0", "mtu": 1400, "socketPath": "/run/s", "pciID": "0000:00:01.0"}]}),
        json!({"interfaces": [{"name": "br0"}, {"name": "veth1"}, {"name": "eth0", "sandbox": "/run/netns/mine"}]}),
        json!({"ips": [{"address": "10.1.0.2/24"}, {"address": "fd00::2/64", "gateway": "fd00::1"}]}),
        json!({"ips": [{"address": "10.1.0.2/24", "interface": 7}]}),
        json!({"ips": [{"address": "10.1.0.2/24", "interface": -1}]}),
        json!({"routes": [{"dst": "10.9.0.0/16", "mtu": 1400, "advmss": 1360, "priority": 10, "table": 0, "scope": 0}]}),
        json!({"routes": [{"dst": "10.9.1.1/16", "table": -5}]}),
        json!({"dns": {"nameservers": ["x"], "domain": "a.b", "search": ["a", "b"], "options": ["ndots:5"]}}),
        json!({"dns": {"nameservers": [], "search": null}}),
        json!({"cniVersion": 1}),
    ];
    good.iter().map(reported).collect()
}

fn bad() -> Vec<Value> {
    let bad = [
        json!({"interfaces": {}}),
        json!({"interfaces": ["eth0"]}),
        json!({"interfaces": [{"name": 5}]}),
        json!({"ips": "10.1.0.2/24"}),
        json!({"ips": ["10.1.0.2/24"]}),
        json!({"ips": [{"address": null}]}),
        json!({"ips": [{"address": "10.1.0.2"}]}),
        json!({"ips": [{"address": "10.1.0.2/33"}]}),
        json!({"ips": [{"address": "10.1.2/24"}]}),
        json!({"ips": [{"address": " 10.1.0.2/24"}]}),
        json!({"ips": [{"address": "fe80::1%eth0/64"}]}),
        json!({"ips": [{"address": "ten"}]}),
        json!({"routes": ["0.0.0.0/0"]}),
        json!({"routes": [{"dst": "default"}]}),
        json!({"dns": {"nameservers": "10.1.0.1"}}),
        json!({"dns": {"nameservers": [5]}}),
        json!({"cniVersion": "1.2.0"}),
        json!({"cniVersion": "one"}),
        // The next plugin, and DEL's, would fail to read these.
        json!({"interfaces": [{"name": "eth0", "mac": 5}]}),
        json!({"interfaces": [{"name": "eth0", "mtu": "1400"}]}),
        json!({"interfaces": [{"name": "eth0", "mtu": 1.5}]}),
        json!({"interfaces": [{"name": "eth0", "sandbox": 5}]}),
        json!({"ips": [{"address": "10.1.0.2/24", "interface": "0"}]}),
        json!({"ips": [{"address": "10.1.0.2/24", "interface": 0.5}]}),
        json!({"ips": [{"address": "10.1.0.2/24", "gateway": "ten"}]}),
        json!({"ips": [{"address": "10.1.0.2/24", "gateway": 5}]}),
        json!({"ips": [{"address": "010.1.0.2/24"}]}),
        json!({"routes": [{"dst": "10.9.0.0/16", "gw": "ten"}]}),
        json!({"routes": [{"dst": "10.9.0.0/16", "mtu": "1400"}]}),
        json!({"routes": [{"dst": "10.9.0.0/16", "scope": "link"}]}),
        json!({"dns": "10.1.0.1"}),
        json!({"dns": []}),
        json!({"dns": {"domain": 5}}),
        json!({"cniVersion": "0.4.0", "ips": [{"address": "10.1.0.2/24", "version": 4}]}),
    ];
    bad.iter().map(reported).chain([json!([]), json!("text"), json!(5)]).collect()
}

/// What Go's encoding/json takes for a name or an address that is empty, and cnitool cannot read again from its cache.
fn refused_by_us() -> Vec<Value> {
    let bad = [
        json!({"interfaces": [{}]}),
        json!({"interfaces": [{"name": null}]}),
        json!({"interfaces": [null]}),
        json!({"ips": [{}]}),
        json!({"ips": [null]}),
        json!({"routes": [{"gw": "10.1.0.1"}]}),
        json!({"routes": [null]}),
        json!({"ips": [{"address": "10.1.0.2/024"}]}),
    ];
    bad.iter().map(reported).chain([json!(null)]).collect()
}

fn with_more() -> Vec<Value> {
    let more = [
        json!({"ips": [{"address": "10.1.0.2/24", "version": "4", "more": 1}]}),
        json!({"unknown": {"a": [1, 2]}}),
        json!({"ip4": {"ip": "10.1.0.2/24"}}),
        json!({"code": 7, "msg": "an error object with success"}),
    ];
    more.iter().map(reported).collect()
}

/// What is no JSON, or hardly.
fn texts() -> impl Iterator<Item = Case> {
    let printed = |text: &str| {
        let case = Case::new(format!("the text {text:?} as a result"), "1.0.0", &chain(1), "add check del");
        case.noop("one.ADD", json!({"ReportResult": text}))
    };
    let bad = [
        "",
        "{",
        "{}{}",
        "{} x",
        "{,}",
        "{\"cniVersion\": \"1.0.0\",}",
        "// c\n{}",
        "\u{feff}{}",
        "{\"a\": 1e999}",
        "{\"a\": NaN}",
        "{'a': 1}",
    ];
    let good =
        [" \n{}\n\n", "{\"dns\": {}, \"dns\": {\"domain\": \"a\"}}", "{\"\u{e9}\": \"\u{1f600}\\ud83d\\ude00\"}"];
    let good = good.map(|text| match printed(text) {
        case if text.contains('\u{e9}') => case.because(Reason::UnknownFields),
        case => case,
    });
    bad.into_iter().map(move |text| refused(printed(text))).chain(good)
}

fn refused(case: Case) -> Case {
    case.because(Reason::Rollback).because(Reason::UnaddedCheck)
}

fn reported(more: &Value) -> Value {
    merged(json!({"cniVersion": "1.0.0"}), more)
}

fn shape(result: &Value) -> Case {
    Case::new(format!("a result that is {result}"), "1.0.0", &chain(1), "add check del").result(result)
}
