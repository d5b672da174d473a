//! The command line of systemd-nspawn: what we add to the user's arguments, and what these say of the network.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;

use foundation::name::MachineName;
use serde::{Deserialize, Serialize};

/// Options with a value that may be the next argument (systemd-nspawn(1)); needed to tell values from the command.
const WITH_VALUE: &str = "ambient-capability bind bind-ro bind-user capability chdir console cpu-affinity directory \
    drop-capability hostname image image-policy inaccessible kill-signal link-journal load-credential machine \
    network-bridge network-interface network-ipvlan network-macvlan network-namespace-path network-veth-extra \
    network-zone no-new-privileges notify-ready oci-bundle oom-score-adjust overlay overlay-ro personality pivot-root \
    port private-users-ownership property register resolv-conf rlimit root-hash root-hash-sig selinux-apifs-context \
    selinux-context set-credential setenv settings slice suppress-sync system-call-filter template timezone tmpfs user \
    uuid verity-data";

/// Short options with a value.
const SHORT_WITH_VALUE: &str = "DuMSLEZip";

/// An argument that does not go with a network of ours.
#[derive(Debug, thiserror::Error)]
#[error("{option} does not go with a CNI network; leave the network to cnispawn, or run systemd-nspawn alone")]
pub(crate) struct NspawnError {
    option: String,
}

/// What comes first, a container or its network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Order {
    /// The network, in a namespace that systemd-nspawn joins.
    #[default]
    NetworkFirst,
    /// The container: systemd-nspawn cannot join a network namespace from a user namespace that does not own it, so
    /// it makes its own, and the network comes into that.
    ContainerFirst,
}

/// What the user's arguments say of the network.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    /// What has to come first.
    pub order: Order,
    names_machine: bool,
    registers: bool,
    /// Whether the container's resolv.conf is the user's affair.
    pub handles_resolv_conf: bool,
}

/// Look at the user's arguments.
///
/// # Errors
/// When one of them would make another network.
pub(crate) fn asked(user: &[OsString]) -> Result<Asked, NspawnError> {
    let options = options(user);
    options.iter().try_for_each(check)?;
    let has = |names: &[&str]| options.iter().any(|option| names.contains(&option.name.as_str()));
    let late = options.iter().rfind(|option| ["private-users", "U"].contains(&option.name.as_str()));
    let no = |option: &UserOption| matches!(option.value.as_deref(), Some("no" | "n" | "false" | "f" | "off" | "0"));
    Ok(Asked {
        order: if late.is_some_and(|option| !no(option)) { Order::ContainerFirst } else { Order::NetworkFirst },
        names_machine: has(&["machine", "M"]),
        registers: has(&["register", "keep-unit"]),
        handles_resolv_conf: has(&["resolv-conf"]),
    })
}

/// What the arguments depend on beside the user's own.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// The container's network namespace.
    pub netns: &'a Path,
    /// A file in place of its resolv.conf.
    pub resolv_conf: Option<&'a Path>,
    /// Whether systemd is the host's PID 1.
    pub systemd: bool,
}

/// The arguments for systemd-nspawn: ours, and then the user's.
pub(crate) fn args(name: &MachineName, around: &Surroundings<'_>, asked: &Asked, user: &[OsString]) -> Vec<OsString> {
    let mut args = Vec::new();
    if asked.order == Order::NetworkFirst {
        args.push(joined("--network-namespace-path=", around.netns));
    }
    // With the path alone, CAP_NET_ADMIN is dropped, /proc/sys/net is read-only and /sys is the host's.
    args.push("--private-network".into());
    if !asked.names_machine {
        args.push(format!("--machine={name}").into());
    }
    if !around.systemd && !asked.registers {
        // Nobody to register with, nor to ask for a scope: systemd-nspawn would fail.
        args.extend(["--register=no", "--keep-unit"].map(OsString::from));
    }
    if let Some(file) = around.resolv_conf {
        args.push("--resolv-conf=off".into());
        let mut bind = joined("--bind-ro=", file);
        bind.push(":/etc/resolv.conf");
        args.push(bind);
    }
    args.extend_from_slice(user);
    args
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(option);
    arg.push(path);
    arg
}

/// A parsed option: its name without dashes, and its value.
#[derive(Debug, PartialEq)]
struct UserOption {
    name: String,
    value: Option<String>,
}

fn check(option: &UserOption) -> Result<(), NspawnError> {
    let refused = |option: String| Err(NspawnError { option });
    match option.name.as_str() {
        "n" | "p" => refused(format!("-{}", option.name)),
        name if name.starts_with("network-") || name == "port" => refused(format!("--{name}")),
        _ => Ok(()),
    }
}

/// The options before the container's own command, as getopt_long(3) with "+" takes them.
fn options(args: &[OsString]) -> Vec<UserOption> {
    let mut args = args.iter().map(|arg| arg.to_string_lossy());
    let mut options = Vec::new();
    while let Some(arg) = args.next().filter(|arg| arg.starts_with('-') && *arg != "-" && *arg != "--") {
        if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None if WITH_VALUE.split(' ').any(|option| option == long) => (long, args.next().map(Cow::into_owned)),
                None => (long, None),
            };
            options.push(UserOption { name: name.to_owned(), value });
            continue;
        }
        let letters = &arg[1..];
        for (at, letter) in letters.char_indices() {
            let name = letter.to_string();
            if !SHORT_WITH_VALUE.contains(letter) {
                options.push(UserOption { name, value: None });
                continue;
            }
            let rest = &letters[at + letter.len_utf8()..];
            let value = if rest.is_empty() { args.next().map(Cow::into_owned) } else { Some(rest.to_owned()) };
            options.push(UserOption { name, value });
            break;
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(user: &[&str]) -> Vec<OsString> {
        user.iter().map(OsString::from).collect()
    }

    fn planned_on(systemd: bool, resolv_conf: Option<&Path>, user: &[&str]) -> Vec<String> {
        let (name, user) = ("web".parse().expect("a name"), words(user));
        let around = Surroundings { netns: Path::new("/run/netns/web"), resolv_conf, systemd };
        let args = args(&name, &around, &asked(&user).expect("works"), &user);
        args.into_iter().map(|arg| arg.into_string().expect("UTF-8")).collect()
    }

    fn planned(user: &[&str]) -> Vec<String> {
        planned_on(true, None, user)
    }

    #[test]
    fn the_users_arguments_follow_ours() {
        let expected = "--network-namespace-path=/run/netns/web --private-network --machine=web -D /srv/web --boot";
        assert_eq!(planned(&["-D", "/srv/web", "--boot"]).join(" "), expected);
    }

    #[test]
    fn without_systemd_nobody_is_asked_for_anything() {
        let registers = |user: &[&str]| planned_on(false, None, user).iter().any(|arg| arg == "--register=no");
        assert!(registers(&["-D", "/srv/web"]));
        assert!(!registers(&["--register=yes"]) && !registers(&["--keep-unit"]), "the user knows better");
    }

    #[test]
    fn a_resolv_conf_is_bound_into_the_container() {
        let args = planned_on(true, Some(Path::new("/r")), &[]);
        assert_eq!(args[3..], ["--resolv-conf=off", "--bind-ro=/r:/etc/resolv.conf"]);
    }

    #[test]
    fn a_machine_named_by_the_user_is_not_named_again() {
        for user in [&["-M", "x"][..], &["-Mx"], &["-bM", "x"], &["--machine=x"], &["--machine", "x"]] {
            assert!(!planned(user).contains(&"--machine=web".to_owned()), "{user:?}");
        }
        for user in
            [&["-b", "-M"][..1], &["-D", "-M"], &["--bind", "--machine=x"], &["sh", "-M", "x"], &["--", "-M", "x"]]
        {
            assert!(planned(user).contains(&"--machine=web".to_owned()), "{user:?}");
        }
    }

    #[test]
    fn a_container_in_a_user_namespace_comes_before_its_network() {
        for user in ["--private-users", "--private-users=pick", "--private-users=1:2", "-U", "-bU"] {
            assert_eq!(asked(&words(&[user])).expect("works").order, Order::ContainerFirst, "{user}");
            assert_eq!(planned(&[user])[0], "--private-network", "{user}");
        }
        for user in [&["--private-users=no"][..], &["-U", "--private-users=0"], &["sh", "-U"]] {
            assert_eq!(asked(&words(user)).expect("works").order, Order::NetworkFirst, "{user:?}");
        }
    }

    #[test]
    fn another_network_is_refused() {
        for user in ["-n", "--network-veth", "--network-bridge=br0", "--port=80", "-p80", "--network-namespace-path=/x"]
        {
            asked(&words(&[user])).expect_err(user);
        }
        asked(&words(&["--private-network"])).expect("what we do anyway");
    }
}
