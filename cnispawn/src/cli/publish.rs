//! `--publish [ADDRESS:]PORT:PORT[/PROTOCOL,...]`: a port of the container, published on the host.

use std::net::IpAddr;
use std::str::FromStr;

use serde_json::{Value, json};

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The host's address; all of them by default.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub host: u16,
    /// The container's port.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocols: Vec<String>,
}

/// The text is not a port to publish.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is not a port to publish; write HOST-PORT:PORT, ADDRESS:HOST-PORT:PORT or [IPV6-ADDRESS]:HOST-PORT:PORT, and /tcp, /udp or /sctp after it"
)]
pub struct PublishError {
    text: String,
}

impl FromStr for Publish {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| PublishError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Publish> {
    let (ports, protocols) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocols: Vec<_> = protocols.split(',').map(str::to_owned).collect();
    let known = protocols.iter().all(|protocol| matches!(protocol.as_str(), "tcp" | "udp" | "sctp"));
    let (rest, container) = ports.rsplit_once(':')?;
    let (address, host) = match rest.rsplit_once(':') {
        None => (None, rest),
        Some((address, host)) => {
            let bracketed = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
            (Some(bracketed.unwrap_or(address).parse().ok()?), host)
        }
    };
    let port = |text: &str| text.parse().ok().filter(|&port: &u16| port > 0);
    let published = Publish { address, host: port(host)?, container: port(container)?, protocols };
    known.then_some(published)
}

impl Publish {
    /// Entries of the capability `portMappings` (CONVENTIONS.md of the CNI specification).
    pub fn mappings(&self) -> impl Iterator<Item = Value> {
        self.protocols.iter().map(|protocol| {
            let mut mapping = json!({"hostPort": self.host, "containerPort": self.container, "protocol": protocol});
            if let Some(address) = self.address {
                mapping["hostIP"] = json!(address);
            }
            mapping
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings(text: &str) -> Vec<Value> {
        text.parse::<Publish>().expect(text).mappings().collect()
    }

    #[test]
    fn a_port_is_published_by_every_protocol_that_is_named() {
        let tcp = json!({"hostPort": 8080, "containerPort": 80, "protocol": "tcp"});
        assert_eq!(mappings("8080:80"), std::slice::from_ref(&tcp));
        let udp = json!({"hostPort": 8080, "containerPort": 80, "protocol": "udp"});
        assert_eq!(mappings("8080:80/tcp,udp"), [tcp, udp]);
        assert_eq!(mappings("127.0.0.1:53:53/udp")[0]["hostIP"], "127.0.0.1");
        assert_eq!(mappings("[::1]:8080:80")[0]["hostIP"], "::1");
        assert_eq!(mappings("fd00::1:8080:80")[0]["hostIP"], "fd00::1");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["80", "0:80", "80:0", "80:65536", "a:80", "80:80/icmp", "80:80/", "1.2.3:80:80", "", ":", "::"] {
            assert!(bad.parse::<Publish>().expect_err(bad).to_string().contains(&format!("{bad:?}")), "{bad}");
        }
    }
}
