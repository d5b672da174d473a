//! `--network NET[:KEY=VALUE,...]`: a network to attach the container to, and how.

use std::net::IpAddr;
use std::str::FromStr;

use crate::cni::attachment::{AttachmentError, check_if_name};

/// A network, and how to attach a container to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkOption {
    /// Its name.
    pub name: String,
    /// The interface in the container.
    pub if_name: Option<String>,
    /// Fixed addresses.
    pub ips: Vec<IpAddr>,
    /// A fixed hardware address.
    pub mac: Option<String>,
}

/// The text is not a network option.
#[derive(Debug, thiserror::Error)]
pub enum NetworkOptionError {
    /// An unknown key, or a text without one.
    #[error("{setting:?} is not a setting of a network; write NET:ifname=NAME,ip=ADDRESS,mac=ADDRESS")]
    Setting {
        /// What was given.
        setting: String,
    },
    /// Not an address.
    #[error("{ip:?} is not an IP address; write it without a prefix length")]
    Ip {
        /// What was given.
        ip: String,
    },
    /// Not a hardware address.
    #[error("{mac:?} is not a hardware address; write six bytes, as in 02:00:00:00:00:01")]
    Mac {
        /// What was given.
        mac: String,
    },
    /// The kernel would refuse it.
    #[error(transparent)]
    IfName(#[from] AttachmentError),
}

impl FromStr for NetworkOption {
    type Err = NetworkOptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let mut option = NetworkOption { name: name.to_owned(), ..NetworkOption::default() };
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            match setting.split_once('=') {
                Some(("ifname", name)) => {
                    check_if_name(name)?;
                    option.if_name = Some(name.to_owned());
                }
                Some(("ip", ip)) => {
                    option.ips.push(ip.parse().map_err(|_| NetworkOptionError::Ip { ip: ip.to_owned() })?);
                }
                Some(("mac", mac)) if is_mac(mac) => option.mac = Some(mac.to_owned()),
                Some(("mac", mac)) => return Err(NetworkOptionError::Mac { mac: mac.to_owned() }),
                _ => return Err(NetworkOptionError::Setting { setting: setting.to_owned() }),
            }
        }
        Ok(option)
    }
}

fn is_mac(text: &str) -> bool {
    let bytes: Vec<_> = text.split(':').collect();
    bytes.len() == 6 && bytes.iter().all(|byte| byte.len() == 2 && byte.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_a_colon() {
        let option: NetworkOption =
            "a.b-c:ifname=net1,ip=10.0.0.9,ip=fd00::9,mac=02:00:00:00:00:01".parse().expect("an option");
        assert_eq!((option.name.as_str(), option.if_name.as_deref()), ("a.b-c", Some("net1")));
        assert_eq!(option.ips, ["10.0.0.9".parse::<IpAddr>().expect("v4"), "fd00::9".parse().expect("v6")]);
        assert_eq!(option.mac.as_deref(), Some("02:00:00:00:00:01"));
        let plain: NetworkOption = "web".parse().expect("an option");
        assert_eq!(plain, NetworkOption { name: "web".into(), ..NetworkOption::default() });
    }

    #[test]
    fn what_is_not_a_setting_is_named() {
        for (text, why) in [
            ("a:x=1", "\"x=1\" is not a setting"),
            ("a:ip", "\"ip\" is not a setting"),
            ("a:ip=10.0.0.9/24", "\"10.0.0.9/24\" is not an IP address"),
            ("a:mac=02:00:00:00:00", "\"02:00:00:00:00\" is not a hardware address"),
            // u8::from_str_radix takes a sign.
            ("a:mac=+1:00:00:00:00:01", "\"+1:00:00:00:00:01\" is not a hardware address"),
            ("a:ifname=a/b", "interface name \"a/b\""),
        ] {
            let error = text.parse::<NetworkOption>().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
