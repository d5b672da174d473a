//! The command line of systemd-nspawn: what we add to the user's arguments, and what these say of the network.

mod options;

use std::ffi::OsString;
use std::path::Path;

use foundation::name::MachineName;
use serde::{Deserialize, Serialize};

use self::options::{UserOption, options};

/// The user asks systemd-nspawn for another network.
#[derive(Debug, thiserror::Error)]
#[error("{option} does not go with a CNI network; leave the network to cnispawn, or run systemd-nspawn alone")]
pub(crate) struct NspawnError {
    option: String,
}

/// What is made first, the container or its network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Order {
    /// The network, in a namespace that systemd-nspawn joins.
    #[default]
    NetworkFirst,
    /// The container: systemd-nspawn cannot join a network namespace from a user namespace that does not own it, so it
    /// makes its own, and the watcher attaches that.
    ContainerFirst,
}

/// What the user's arguments say of the network.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) order: Order,
    names_machine: bool,
    registers: bool,
    /// Whether the user sets `--resolv-conf=`.
    pub(crate) handles_resolv_conf: bool,
}

/// Read the user's arguments. Fails if one of them would make another network.
pub(crate) fn asked(user: &[OsString]) -> Result<Asked, NspawnError> {
    let options = options(user);
    options.iter().try_for_each(check)?;
    let has = |names: &[&str]| options.iter().any(|option| names.contains(&option.name.as_str()));
    let userns = options.iter().rfind(|option| ["private-users", "U"].contains(&option.name.as_str()));
    let no = |option: &UserOption| matches!(option.value.as_deref(), Some("no" | "n" | "false" | "f" | "off" | "0"));
    Ok(Asked {
        order: if userns.is_some_and(|option| !no(option)) { Order::ContainerFirst } else { Order::NetworkFirst },
        names_machine: has(&["machine", "M"]),
        registers: has(&["register", "keep-unit"]),
        handles_resolv_conf: has(&["resolv-conf"]),
    })
}

/// What our arguments depend on, beside the user's.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) netns: &'a Path,
    /// A file to be mounted as the container's resolv.conf.
    pub(crate) resolv_conf: Option<&'a Path>,
    /// Whether systemd is the host's PID 1.
    pub(crate) systemd: bool,
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
        // Without systemd there is no machined to register with, and no scope to be had: systemd-nspawn would fail.
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

fn check(option: &UserOption) -> Result<(), NspawnError> {
    let refused = |option: String| Err(NspawnError { option });
    match option.name.as_str() {
        "n" | "p" => refused(format!("-{}", option.name)),
        name if name.starts_with("network-") || name == "port" => refused(format!("--{name}")),
        _ => Ok(()),
    }
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
    fn without_systemd_the_container_is_not_registered() {
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
