//! Read and change iptables' tables as text, of both address families.

use std::fs;
use std::io;
use std::path::Path;

use foundation::tool::Tool;

/// What reads and changes the tables of one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Iptables {
    save: &'static str,
    restore: &'static str,
    /// A file that is there when the kernel has the family.
    family: &'static str,
}

const IPV4: &str = "/proc/sys/net/ipv4";
/// Not there with `ipv6.disable=1` either.
const IPV6: &str = "/proc/sys/net/ipv6";

const DEFAULT: [Iptables; 2] = [
    Iptables { save: "iptables-save", restore: "iptables-restore", family: IPV4 },
    Iptables { save: "ip6tables-save", restore: "ip6tables-restore", family: IPV6 },
];

/// The implementation before nf_tables, whose tables are apart: the default on old hosts, and in use by old programs on
/// others. Each with the kernel's list of its tables.
const LEGACY: [(&str, Iptables); 2] = [
    ("ip_tables_names", Iptables { save: "iptables-legacy-save", restore: "iptables-legacy-restore", family: IPV4 }),
    ("ip6_tables_names", Iptables { save: "ip6tables-legacy-save", restore: "ip6tables-legacy-restore", family: IPV6 }),
];

/// What this host has.
pub(super) fn installed() -> impl Iterator<Item = Iptables> {
    DEFAULT.into_iter().filter(Iptables::is_there)
}

/// The same, and whatever else has a `table`.
pub(super) fn in_use(table: &str) -> impl Iterator<Item = Iptables> {
    let legacy = LEGACY.into_iter().filter(move |(list, _)| tables(list).lines().any(|name| name == table));
    installed().chain(legacy.map(|(_, iptables)| iptables).filter(Iptables::is_there))
}

fn tables(list: &str) -> String {
    fs::read_to_string(Path::new("/proc/thread-self/net").join(list)).unwrap_or_default()
}

impl Iptables {
    fn is_there(&self) -> bool {
        Path::new(self.family).exists() && which::which(self.save).is_ok()
    }

    /// A table, as iptables-save(8) prints it.
    ///
    /// # Errors
    /// When the program fails.
    pub(super) fn read(&self, table: &str) -> io::Result<String> {
        tool(self.save).run(&["-t", table], "")
    }

    /// Change tables, all or nothing, by a script for iptables-restore(8).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn apply(&self, script: &str) -> io::Result<()> {
        tracing::debug!("{}: {script}", self.restore);
        tool(self.restore).run(&["--noflush", "--wait"], script).map(drop)
    }
}

fn tool(program: &'static str) -> Tool {
    Tool { program, package: "iptables" }
}
