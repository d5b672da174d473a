//! Give a systemd-nspawn container a network by CNI plugins, and take it away again however the container ends.
//!
//! [`cni`] speaks the CNI specification's protocol and knows nothing of containers. [`spawn`] makes a network namespace,
//! has the plugins furnish it, and becomes systemd-nspawn; [`watch`] undoes it all when systemd-nspawn ends. What must
//! be undone is put down in a [`record`] before it is done, so that a crash leaves nothing that [`heal`] cannot find.

pub mod attach;
pub mod bridge;
pub mod builtin;
pub mod cli;
pub mod cni;
pub mod detach;
pub mod dirs;
pub mod dns;
pub mod files;
pub mod gc;
pub mod heal;
pub mod hold;
pub mod host;
pub mod hostport;
pub mod ip;
pub mod iptables;
pub mod late;
pub mod link;
pub mod lock;
pub mod log;
pub mod ls;
pub mod name;
pub mod netns;
pub mod networks;
pub mod nspawn;
pub mod options;
pub mod orphan;
pub mod plan;
pub mod process;
pub mod record;
pub mod restart;
pub mod spawn;
pub mod standin;
pub mod status;
pub mod subnet;
pub mod table;
pub mod tool;
pub mod unix_export;
pub mod verb;
pub mod watch;

/// An error and all its causes, as one text. What others have written may be in it, a plugin or a record: nothing of it
/// that a terminal would obey.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_error_does_not_clear_the_screen() {
        let error = std::io::Error::other("a\u{1b}[2J\r\u{9b}b\n\tc");
        assert_eq!(super::error_chain(&error), "a\u{fffd}[2J\u{fffd}\u{fffd}b\n\tc");
    }
}
