//! The nameservers in results, in the format of resolv.conf(5).

use serde_json::Value;

/// The DNS settings in the results of a container's networks; `None` without any.
///
/// The networks' order is kept: the resolver asks the first nameserver first.
pub fn resolv_conf<'v>(results: impl IntoIterator<Item = &'v Value>) -> Option<String> {
    let (mut nameservers, mut search, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for result in results {
        let dns = &result["dns"];
        let strings = |key: &str| dns[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        nameservers.extend(strings("nameservers"));
        // `domain` is a search list of one, and the last of `domain` and `search` wins (resolv.conf(5)): make one list.
        search.extend(dns["domain"].as_str().into_iter().chain(strings("search")));
        options.extend(strings("options"));
    }
    // Whitespace in a plugin's text must not start another line.
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
