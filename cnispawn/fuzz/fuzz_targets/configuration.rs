//! A network's configuration, as any program may write it into /etc/cni/net.d, and the options of the command line.

#![no_main]

use cnispawn::cli::{Bandwidth, NetworkOption, Publish};
use cnispawn::cni::attachment::{join_args, parse_args, parse_capability_args};
use cnispawn::cni::{Attachment, NetworkList};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for list in [NetworkList::parse(text), NetworkList::parse_single(text)].into_iter().flatten() {
        read_back(&list);
        hand_out(&list);
    }
    options(text);
    arguments(text);
});

/// A container's record keeps its networks, and is what they are undone by.
fn read_back(list: &NetworkList) {
    let again = NetworkList::parse(&list.inlined()).expect("an inlined list is a list");
    assert_eq!(&NetworkList { text: list.text.clone(), ..again }, list);
}

/// What the plugins of the list are given.
fn hand_out(list: &NetworkList) {
    let all = ["portMappings", "bandwidth", "ips", "mac", "dns"].map(|name| (name.to_owned(), json!([name])));
    let capability_args = Map::from_iter(all);
    let previous = json!({"cniVersion": list.cni_version, "ips": []});
    for plugin in &list.plugins {
        let conf = list.plugin_conf(plugin, &capability_args, Some(&previous));
        assert_eq!((&conf["name"], &conf["cniVersion"]), (&json!(list.name), &json!(list.cni_version)));
        assert_eq!((&conf["type"], &conf["prevResult"]), (&plugin["type"], &previous));
        let read: Value = serde_json::from_str(&conf.to_string()).expect("a plugin can read it");
        assert_eq!(read, conf);

        let valid = Map::from_iter([("cni.dev/valid-attachments".to_owned(), json!([]))]);
        assert_eq!(list.conf_with(plugin, valid)["cni.dev/valid-attachments"], json!([]));
    }
    assert!(list.programs().count() >= list.plugins.len() && list.programs().all(|program| !program.is_empty()));
    let declared = list.plugins.iter().any(|plugin| plugin.get("capabilities").is_some());
    assert!(declared || !capability_args.keys().any(|name| list.takes(name)));
    list.may_name_servers();
}

fn options(text: &str) {
    if let Ok(option) = text.parse::<NetworkOption>() {
        assert!(option.mac.iter().flat_map(|mac| mac.chars()).all(|c| c == ':' || c.is_ascii_hexdigit()), "{option:?}");
    }
    if let Ok(publish) = text.parse::<Publish>() {
        assert_eq!(publish.mappings().count(), publish.protocols.len());
    }
    if let Ok(bandwidth) = text.parse::<Bandwidth>() {
        let rates = [bandwidth.ingress, bandwidth.egress].into_iter().flatten().count();
        assert_eq!(bandwidth.capability().len(), 2 * rates);
    }
}

/// CNI_ARGS and CAP_ARGS.
fn arguments(text: &str) {
    if let Ok(args) = parse_args(text) {
        assert_eq!(join_args(&args), text);
    }
    if let Ok(capability_args) = parse_capability_args(text) {
        let attachment = Attachment { capability_args, ..Attachment::default() };
        // As in a container's record.
        let record = json!({"attachments": [{"attachment": attachment}]});
        let read: Value = serde_json::from_str(&record.to_string()).expect("a record can be read");
        assert_eq!(read, record);
    }
}
