//! Read and change iptables' tables as text, of both address families.

use std::fs;
use std::io;
use std::path::Path;

use foundation::tool::Tool;

/// The programs that read and change the tables of one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Iptables {
    save: &'static str,
    restore: &'static str,
    /// A directory that exists if the kernel has the family.
    family: &'static str,
}

const IPV4: &str = "/proc/sys/net/ipv4";
/// Does not exist with `ipv6.disable=1`, either.
const IPV6: &str = "/proc/sys/net/ipv6";

const DEFAULT: [Iptables; 2] = [
    Iptables { save: "iptables-save", restore: "iptables-restore", family: IPV4 },
    Iptables { save: "ip6tables-save", restore: "ip6tables-restore", family: IPV6 },
];

/// The implementation before nf_tables, with tables of its own: the default on old hosts, and used by old programs on
/// others. Each with the kernel's list of its tables.
const LEGACY: [(&str, Iptables); 2] = [
    ("ip_tables_names", Iptables { save: "iptables-legacy-save", restore: "iptables-legacy-restore", family: IPV4 }),
    ("ip6_tables_names", Iptables { save: "ip6tables-legacy-save", restore: "ip6tables-legacy-restore", family: IPV6 }),
];

/// The programs that this host has.
pub(super) fn installed() -> impl Iterator<Item = Iptables> {
    DEFAULT.into_iter().filter(Iptables::exists)
}

/// The programs that this host has, and the older ones if their `table` is in use.
pub(super) fn in_use(table: &str) -> impl Iterator<Item = Iptables> {
    let legacy = LEGACY.into_iter().filter(move |(list, _)| tables(list).lines().any(|name| name == table));
    installed().chain(legacy.map(|(_, iptables)| iptables).filter(Iptables::exists))
}

fn tables(list: &str) -> String {
    fs::read_to_string(Path::new("/proc/thread-self/net").join(list)).unwrap_or_default()
}

impl Iptables {
    fn exists(&self) -> bool {
        Path::new(self.family).exists() && which::which(self.save).is_ok()
    }

    /// A table, as iptables-save(8) prints it.
    pub(super) fn read(&self, table: &str) -> io::Result<String> {
        tool(self.save).run(&["-t", table], "")
    }

    /// Change tables, all or nothing, by a script for iptables-restore(8).
    pub(super) fn apply(&self, script: &str) -> io::Result<()> {
        tracing::debug!("{}: {script}", self.restore);
        tool(self.restore).run(&["--noflush", "--wait"], script).map(drop)
    }
}

fn tool(program: &'static str) -> Tool {
    Tool { program, package: "iptables" }
}
