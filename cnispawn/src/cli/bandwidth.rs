//! `--bandwidth ingress=RATE,egress=RATE`: limits on the traffic into and out of the container.

use std::str::FromStr;

use serde_json::{Map, Value};

/// The smallest token bucket, in bits, that lets a full-sized packet through: tc-tbf(8).
const LEAST_BURST: u64 = 128_000;
/// The largest that the plugin accepts: its burst is bytes in 32 bits.
const MOST_BURST: u64 = 8 * (u32::MAX as u64);

/// Limits in bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Into the container.
    pub ingress: Option<u64>,
    /// Out of the container.
    pub egress: Option<u64>,
}

/// The text is not a bandwidth.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is not a bandwidth; write ingress=RATE,egress=RATE, in bits per second, with K, M or G after the number"
)]
pub struct BandwidthError {
    text: String,
}

impl FromStr for Bandwidth {
    type Err = BandwidthError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| BandwidthError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Bandwidth> {
    let mut bandwidth = Bandwidth::default();
    for setting in text.split(',') {
        match setting.split_once('=')? {
            ("ingress", text) => bandwidth.ingress = Some(rate(text)?),
            ("egress", text) => bandwidth.egress = Some(rate(text)?),
            _ => return None,
        }
    }
    Some(bandwidth)
}

fn rate(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, ""),
    };
    let unit = match unit {
        "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => 1,
    };
    number.parse::<u64>().ok().filter(|&rate| rate > 0)?.checked_mul(unit)
}

impl Bandwidth {
    /// The capability `bandwidth` (CONVENTIONS.md of the CNI specification). The plugin needs a burst with each rate:
    /// that of an eighth of a second.
    pub fn capability(&self) -> Map<String, Value> {
        let mut capability = Map::new();
        for (name, rate) in [("ingress", self.ingress), ("egress", self.egress)] {
            if let Some(rate) = rate {
                capability.insert(format!("{name}Rate"), rate.into());
                capability.insert(format!("{name}Burst"), (rate / 8).clamp(LEAST_BURST, MOST_BURST).into());
            }
        }
        capability
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rates_have_units_and_get_a_burst() {
        let both: Bandwidth = "ingress=10M,egress=1G".parse().expect("a bandwidth");
        let expected = json!({"ingressRate": 10_000_000, "ingressBurst": 1_250_000, "egressRate": 1_000_000_000,
            "egressBurst": 125_000_000});
        assert_eq!(Value::from(both.capability()), expected);
        let one: Bandwidth = "egress=9600".parse().expect("a bandwidth");
        assert_eq!(Value::from(one.capability()), json!({"egressRate": 9600, "egressBurst": 128_000}));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in
            ["", "1M", "ingress", "ingress=", "ingress=0", "up=1M", "ingress=1T", "egress=-1", "egress=99999999999G"]
        {
            assert!(bad.parse::<Bandwidth>().expect_err(bad).to_string().contains(&format!("{bad:?}")), "{bad}");
        }
    }
}
