//! The command line of systemd-nspawn: what we add to the user's arguments, and which of these cannot work.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;

use crate::name::Name;

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

/// An argument that cannot work in a network namespace that was made beforehand.
#[derive(Debug, thiserror::Error)]
pub enum NspawnError {
    /// systemd-nspawn joins the namespace after it has entered a user namespace that does not own it.
    #[error(
        "{option} does not work with a CNI network: systemd-nspawn cannot join a network namespace from a user namespace; use --private-users=no"
    )]
    PrivateUsers {
        /// The option.
        option: String,
    },
    /// The network is ours to make.
    #[error("{option} does not go with a CNI network; leave the network to cnispawn, or run systemd-nspawn alone")]
    Network {
        /// The option.
        option: String,
    },
}

/// The arguments for systemd-nspawn: the network namespace, the machine's name unless the user gives another, and the
/// user's own.
///
/// # Errors
/// When one of the user's cannot work.
pub fn args(name: &Name, netns: &Path, user: &[OsString]) -> Result<Vec<OsString>, NspawnError> {
    let options = options(user);
    options.iter().try_for_each(check)?;
    let mut path = OsString::from("--network-namespace-path=");
    path.push(netns);
    // With the path alone, CAP_NET_ADMIN is dropped, /proc/sys/net is read-only and /sys is the host's.
    let mut args = vec![path, "--private-network".into()];
    if !options.iter().any(|option| option.name == "machine" || option.name == "M") {
        args.push(format!("--machine={name}").into());
    }
    args.extend_from_slice(user);
    Ok(args)
}

/// A parsed option: its name without dashes, and its value.
#[derive(Debug, PartialEq)]
struct UserOption {
    name: String,
    value: Option<String>,
}

fn check(option: &UserOption) -> Result<(), NspawnError> {
    let value = option.value.as_deref();
    match option.name.as_str() {
        "private-users" if matches!(value, Some("no" | "n" | "false" | "f" | "off" | "0")) => Ok(()),
        "private-users" => {
            Err(NspawnError::PrivateUsers { option: format!("--private-users={}", value.unwrap_or("pick")) })
        }
        "U" => Err(NspawnError::PrivateUsers { option: "-U".into() }),
        "n" | "p" => Err(NspawnError::Network { option: format!("-{}", option.name) }),
        name if name.starts_with("network-") || name == "port" => {
            Err(NspawnError::Network { option: format!("--{name}") })
        }
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

    fn planned(user: &[&str]) -> Result<Vec<String>, NspawnError> {
        let user: Vec<_> = user.iter().map(OsString::from).collect();
        let name = "web".parse().expect("a name");
        let args = args(&name, Path::new("/run/netns/web"), &user)?;
        Ok(args.into_iter().map(|arg| arg.into_string().expect("UTF-8")).collect())
    }

    #[test]
    fn the_users_arguments_follow_ours() {
        assert_eq!(
            planned(&["-D", "/srv/web", "--boot"]).expect("works"),
            [
                "--network-namespace-path=/run/netns/web",
                "--private-network",
                "--machine=web",
                "-D",
                "/srv/web",
                "--boot"
            ]
        );
    }

    #[test]
    fn a_machine_named_by_the_user_is_not_named_again() {
        for user in [&["-M", "x"][..], &["-Mx"], &["-bM", "x"], &["--machine=x"], &["--machine", "x"]] {
            assert!(!planned(user).expect("works").contains(&"--machine=web".to_owned()), "{user:?}");
        }
        for user in
            [&["-b", "-M"][..1], &["-D", "-M"], &["--bind", "--machine=x"], &["sh", "-M", "x"], &["--", "-M", "x"]]
        {
            assert!(planned(user).expect("works").contains(&"--machine=web".to_owned()), "{user:?}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for user in ["--private-users", "--private-users=pick", "--private-users=1:2", "-U", "-bU"] {
            assert!(matches!(planned(&[user]), Err(NspawnError::PrivateUsers { .. })), "{user}");
        }
        for user in ["-n", "--network-veth", "--network-bridge=br0", "--port=80", "-p80", "--network-namespace-path=/x"]
        {
            assert!(matches!(planned(&[user]), Err(NspawnError::Network { .. })), "{user}");
        }
        for user in [&["--private-users=no"][..], &["--private-users=0"], &["--private-network"], &["sh", "-U"]] {
            planned(user).expect("works");
        }
    }
}
