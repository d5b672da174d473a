//! The options among the user's arguments for systemd-nspawn.

use std::borrow::Cow;
use std::ffi::OsString;

/// Options whose value may be the next argument (systemd-nspawn(1)): it is not the beginning of the container's
/// command.
const WITH_VALUE: &str = "ambient-capability bind bind-ro bind-user capability chdir console cpu-affinity directory \
    drop-capability hostname image image-policy inaccessible kill-signal link-journal load-credential machine \
    network-bridge network-interface network-ipvlan network-macvlan network-namespace-path network-veth-extra \
    network-zone no-new-privileges notify-ready oci-bundle oom-score-adjust overlay overlay-ro personality pivot-root \
    port private-users-ownership property register resolv-conf rlimit root-hash root-hash-sig selinux-apifs-context \
    selinux-context set-credential setenv settings slice suppress-sync system-call-filter template timezone tmpfs user \
    uuid verity-data";

/// Short options with a value.
const SHORT_WITH_VALUE: &str = "DuMSLEZip";

/// A parsed option: its name without dashes, and its value.
#[derive(Debug, PartialEq)]
pub(super) struct UserOption {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

/// The options before the container's own command, as getopt_long(3) with "+" takes them.
pub(super) fn options(args: &[OsString]) -> Vec<UserOption> {
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
