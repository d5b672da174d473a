//! A plugin's output: a result of any version, or an error; and what becomes of it: resolv.conf, the cache.

#![no_main]

use cnispawn::cni::cache;
use cnispawn::cni::dns::resolv_conf;
use cnispawn::cni::failure::ErrorObject;
use cnispawn::cni::result::{accept, addresses, convert};
use cnispawn::cni::version::KNOWN;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    if let Ok(error) = serde_json::from_slice::<ErrorObject>(data) {
        assert!(error.to_string().contains("(code "));
    }
    if let Some(result) = cache::result_in(data) {
        for version in KNOWN {
            // A cached result was checked by an earlier version, and is not checked again.
            convert(result.clone(), &version.to_string()).iter().for_each(look_at);
        }
        look_at(&result);
    }
    let Ok(printed) = serde_json::from_slice::<Value>(data) else { return };
    for version in KNOWN.map(|version| version.to_string()) {
        let Ok(accepted) = accept(printed.clone(), &version) else { continue };
        assert_is_result(&accepted, &version);
        for other in KNOWN.map(|version| version.to_string()) {
            // A result without an address has no equivalent before 0.3.0.
            if let Ok(converted) = convert(accepted.clone(), &other) {
                assert_is_result(&converted, &other);
            }
        }
    }
});

fn assert_is_result(result: &Value, version: &str) {
    assert_eq!(result["cniVersion"], version);
    assert_eq!(&accept(result.clone(), version).expect("accepted again"), result);
    look_at(result);
    // As the cache and the next plugin's configuration hold it.
    let holder = json!({"prevResult": result});
    let read: Value = serde_json::from_str(&holder.to_string()).expect("the next plugin can read it");
    assert_eq!(read, holder);
}

fn look_at(result: &Value) {
    addresses(result).for_each(drop);
    for line in resolv_conf([result]).iter().flat_map(|text| text.lines()) {
        let (keyword, values) = line.split_once(' ').expect("a keyword and its values");
        assert!(["nameserver", "search", "options"].contains(&keyword) && !values.is_empty(), "{line:?}");
    }
}
