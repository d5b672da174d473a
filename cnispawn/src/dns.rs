//! The nameservers of a result, and those of the host, as resolv.conf(5) has them.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use crate::files::FileError;

/// Where systemd-resolved(8), and NetworkManager with `dns=dnsmasq` (NetworkManager.conf(5)), keep the nameservers that
/// they ask themselves, while resolv.conf(5) names them on loopback.
const BEHIND_STUBS: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"];

/// The host's resolv.conf(5) for a container: with nameservers that it can reach. One on loopback is another address
/// inside; those behind it serve, where they are known.
///
/// # Errors
/// When the host's file cannot be read. One that is not there is empty.
pub fn of_host() -> Result<String, FileError> {
    let path = Path::new("/etc/resolv.conf");
    let own = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.map_err(FileError::of("read", path))?,
    };
    Ok(reachable(&own, BEHIND_STUBS.iter().filter_map(|path| fs::read_to_string(path).ok())))
}

/// A resolv.conf(5) without nameservers on loopback: `own`, or where it has such ones, the first of `behind` that has
/// others.
fn reachable(own: &str, behind: impl IntoIterator<Item = String>) -> String {
    let without_stubs = |text: &str| -> String {
        let kept = text.lines().filter(|line| nameserver(line).is_none_or(|server| !server.is_loopback()));
        kept.map(|line| format!("{line}\n")).collect()
    };
    let kept = without_stubs(own);
    if kept.lines().count() == own.lines().count() {
        return kept;
    }
    let mut behind = behind.into_iter().map(|text| without_stubs(&text));
    behind.find(|text| text.lines().any(|line| nameserver(line).is_some())).unwrap_or(kept)
}

fn nameserver(line: &str) -> Option<IpAddr> {
    line.trim_start().strip_prefix("nameserver")?.split_whitespace().next()?.parse().ok()
}

/// What the results of a container's networks say of DNS; `None` when they say nothing.
///
/// The networks' own order is kept: the resolver asks the first nameserver first.
pub fn resolv_conf<'v>(results: impl IntoIterator<Item = &'v Value>) -> Option<String> {
    let (mut nameservers, mut search, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for result in results {
        let dns = &result["dns"];
        let strings = |key: &str| dns[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        nameservers.extend(strings("nameservers"));
        // A domain is a search list of one, and the last of both wins (resolv.conf(5)): one list of both.
        search.extend(dns["domain"].as_str().into_iter().chain(strings("search")));
        options.extend(strings("options"));
    }
    // What a plugin has made up must not become another line.
    let words = |words: &[&str]| words.iter().flat_map(|word| word.split_whitespace()).collect::<Vec<_>>().join(" ");
    let servers = nameservers.iter().map(|server| words(&[server])).filter(|server| !server.is_empty());
    let mut lines: Vec<_> = servers.map(|server| format!("nameserver {server}\n")).collect();
    for (keyword, values) in [("search", search), ("options", options)] {
        let values = words(&values);
        if !values.is_empty() {
            lines.push(format!("{keyword} {values}\n"));
        }
    }
    if lines.is_empty() { None } else { Some(lines.concat()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stub_resolver_on_loopback_is_of_no_use_inside_a_container() {
        let resolved = "nameserver 127.0.0.53\noptions edns0\n";
        let [stub, real] = ["nameserver  ::1\n", "nameserver 192.0.2.53\nsearch a.example\n"].map(str::to_owned);
        assert_eq!(reachable(&real, [stub.clone()]), real);
        assert_eq!(reachable(resolved, [real.clone()]), real);
        assert_eq!(reachable("nameserver 127.0.1.1\n", [stub, real.clone()]), real, "the first is not in use");
        assert_eq!(reachable(resolved, []), "options edns0\n");
        let both = format!("nameserver 127.0.0.1\n{real}");
        assert_eq!(reachable(&both, []), real);
    }

    #[test]
    fn nameservers_come_first_and_domains_are_searched() {
        let one = json!({"dns": {"nameservers": ["10.0.0.1"], "domain": "a.example", "search": ["b.example"]}});
        let two = json!({"dns": {"nameservers": ["fd00::1"], "options": ["ndots:2"]}});
        let expected = "nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.example b.example\noptions ndots:2\n";
        assert_eq!(resolv_conf([&one, &two]).as_deref(), Some(expected));
    }

    #[test]
    fn nothing_said_is_no_file() {
        for result in [json!({}), json!({"dns": {}}), json!({"dns": {"nameservers": ["", " "], "domain": ""}})] {
            assert_eq!(resolv_conf([&result]), None, "{result}");
        }
    }

    #[test]
    fn a_line_stays_a_line() {
        let hostile = json!({"dns": {"nameservers": ["10.0.0.1\nnameserver 6.6.6.6"], "search": ["a\nb"]}});
        let text = resolv_conf([&hostile]).expect("a file");
        assert_eq!(text, "nameserver 10.0.0.1 nameserver 6.6.6.6\nsearch a b\n");
    }
}
