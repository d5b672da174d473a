//! The host's nameservers, as resolv.conf(5) has them, for a machine with a network of its own.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use foundation::files::FileError;

/// Where systemd-resolved(8), and NetworkManager with `dns=dnsmasq` (NetworkManager.conf(5)), keep the nameservers that
/// they ask themselves, while resolv.conf(5) names them on loopback.
const BEHIND_STUBS: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"];

/// The host's resolv.conf(5) for a container, with nameservers that it can reach: a stub resolver on the host's loopback
/// is replaced by the nameservers that it asks, where those are known. A missing file counts as empty.
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

#[cfg(test)]
mod tests {
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
}
