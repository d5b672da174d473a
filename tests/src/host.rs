//! A picture of what a container may leave behind on the host, to compare before with after.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use walkdir::WalkDir;

/// Everything of the host that networks and containers change, as lines of text: `KIND ENTRY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    lines: BTreeSet<String>,
    files_of: Vec<PathBuf>,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Machine,
    Namespaces,
}

impl HostState {
    /// Network namespaces, links, mounts, packet filter rules, cgroups, processes, sysctls, and every file below the
    /// directories `files_of` (an IPAM store, a CNI cache; one that does not exist is empty).
    ///
    /// # Panics
    /// When one of the tools `ip`, `iptables-save`, `nft` and `ps` is missing or fails.
    pub fn capture(files_of: &[&Path]) -> Self {
        Self::capture_scope(files_of, Scope::Machine)
    }

    /// Only what belongs to the calling thread's network and mount namespaces, and the files: for a test on a host of
    /// its own ([`crate::isolate`]).
    ///
    /// # Panics
    /// As [`HostState::capture`].
    pub fn capture_namespaces(files_of: &[&Path]) -> Self {
        Self::capture_scope(files_of, Scope::Namespaces)
    }

    fn capture_scope(files_of: &[&Path], scope: Scope) -> Self {
        let files = files_of.iter().map(|&path| path.to_owned()).collect();
        let mut state = HostState { lines: BTreeSet::new(), files_of: files, scope };
        state.add("netns", tool(&["ip", "netns", "list"]).lines().map(|line| first_word(line).to_owned()));
        state.add("link", links(&tool(&["ip", "-oneline", "link", "show"])));
        state.add("mount", mounts());
        state.add("iptables", rules(&tool(&["iptables-save"])));
        state.add("ip6tables", rules(&tool(&["ip6tables-save"])));
        state.add("nft", nft_rules(&tool(&["nft", "list", "ruleset"])));
        if scope == Scope::Machine {
            state.add("cgroup", cgroups());
            state.add("process", processes());
            state.add("sysctl", SYSCTLS.iter().map(|name| sysctl(name)));
        }
        for dir in files_of {
            let mut files = Vec::new();
            walk(dir, &mut files);
            state.add("file", files);
        }
        state
    }

    /// Take the picture again.
    #[must_use]
    pub fn recapture(&self) -> Self {
        let files_of: Vec<_> = self.files_of.iter().map(PathBuf::as_path).collect();
        Self::capture_scope(&files_of, self.scope)
    }

    /// What the other has more (`+`) and less (`-`); empty when they are equal. A process that has ended since is no
    /// difference: it may be one of another test.
    pub fn difference(&self, after: &HostState) -> String {
        let more = after.lines.difference(&self.lines).map(|line| format!("+ {line}\n"));
        let less = self.lines.difference(&after.lines).filter(|line| !line.starts_with("process "));
        let less = less.map(|line| format!("- {line}\n"));
        more.chain(less).collect()
    }

    /// Assert that the host has not changed.
    ///
    /// # Panics
    /// With the differences, when it is not.
    pub fn assert_unchanged(&self) {
        let difference = self.difference(&self.recapture());
        assert!(difference.is_empty(), "the host has changed:\n{difference}");
    }

    /// Wait until the host is unchanged: what is undone in the background takes a moment.
    ///
    /// # Panics
    /// With the differences, when it is not after three minutes.
    pub fn wait_unchanged(&self) {
        let deadline = Instant::now() + Duration::from_secs(180);
        while Instant::now() < deadline {
            if self.difference(&self.recapture()).is_empty() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.assert_unchanged();
    }

    fn add(&mut self, kind: &str, entries: impl IntoIterator<Item = String>) {
        self.lines.extend(entries.into_iter().map(|entry| format!("{kind} {entry}")));
    }
}

fn tool(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {}: {error}; the tests need it", words[0]));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

/// Sysctls that nodes need otherwise than hosts have them.
const SYSCTLS: [&str; 6] = [
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/ip_forward",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
];

fn sysctl(name: &str) -> String {
    let value = fs::read_to_string(Path::new("/proc/sys").join(name)).expect("a sysctl");
    format!("{name} = {}", value.trim())
}

/// Cgroups of nodes. One that vanishes while they are listed is gone: a node that has ended gives its cgroups up bit by
/// bit.
fn cgroups() -> Vec<String> {
    let dirs = WalkDir::new("/sys/fs/cgroup").into_iter().filter_map(|entry| match entry {
        Ok(entry) if entry.file_type().is_dir() => Some(entry.path().display().to_string()),
        Ok(_) => None,
        Err(error) if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound) => None,
        Err(error) => panic!("cannot list cgroups: {error}"),
    });
    dirs.filter(|dir| dir.contains("/kubeadm-systemd") || dir.contains("/nodectl-")).collect()
}

/// Programs that only we run, by their names and ids; one that has ended and waits for its parent does not count.
fn processes() -> Vec<String> {
    const OURS: [&str; 8] =
        ["systemd-nspawn", "cnispawn", "nodectl", "containerd", "kubelet", "kubeadm", "ansible-playbo", "ssh"];
    let table = tool(&["ps", "-e", "-o", "pid=,stat=,comm="]);
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| row.len() == 3 && !row[1].starts_with('Z') && OURS.contains(&row[2]));
    ours.map(|row| format!("{} {}", row[0], row[2])).collect()
}

/// `7: veth1@if2: <...>` is veth1: numbers and peers differ from one moment to the next.
fn links(output: &str) -> Vec<String> {
    let names = output.lines().filter_map(|line| line.split(": ").nth(1));
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

/// Mount points. /run/netns itself is left out: making it a mount point once and for all is what `ip netns` does too.
fn mounts() -> Vec<String> {
    let mountinfo = fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo is readable");
    // proc_pid_mountinfo(5): the fifth field is the mount point.
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|&point| point != "/run/netns").map(str::to_owned).collect()
}

/// Rules and user-defined chains. The built-in chains appear with the first use of a table, and stay.
fn rules(save: &str) -> Vec<String> {
    let lines = save.lines().filter(|line| line.starts_with("-A") || (line.starts_with(':') && line.contains(" - ")));
    lines.map(|line| line.split(" [").next().unwrap_or(line).to_owned()).collect()
}

/// Rules with the table and chain that they are in, without counters, and chains that are not built in.
fn nft_rules(ruleset: &str) -> Vec<String> {
    let (mut place, mut rules) = (Vec::new(), Vec::new());
    for line in ruleset.lines().map(str::trim) {
        match (line.strip_suffix('{'), line) {
            (Some(block), _) => place.push(block.trim().to_owned()),
            (None, "}") => drop(place.pop()),
            // "type nat hook ..." describes a base chain.
            (None, "") => {}
            (None, line) if line.starts_with("type ") || line.starts_with('#') => {}
            (None, line) => rules.push(format!("{}: {}", place.join(" "), without_counters(line))),
        }
        if let [table, chain] = place.as_slice()
            && line.ends_with('{')
            && chain.starts_with("chain CNI-")
        {
            rules.push(format!("{table} {chain}"));
        }
    }
    rules
}

fn without_counters(rule: &str) -> String {
    let mut words = rule.split_whitespace();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if word == "counter" {
            // "counter packets 1 bytes 2"
            words.by_ref().take(4).for_each(drop);
        }
    }
    kept.join(" ")
}

/// Files, but for those by which host-local remembers where it was: they hold no address.
fn walk(dir: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            walk(&path, files);
        } else if name != "lock" && !name.to_string_lossy().starts_with("last_reserved_ip.") {
            files.push(path.display().to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lose_number_and_peer() {
        let output = "1: lo: <LOOPBACK,UP> mtu 65536\n9: vethab12@if2: <UP> mtu 1500 master cni0\n";
        assert_eq!(links(output), ["lo", "vethab12"]);
    }

    #[test]
    fn builtin_chains_and_counters_are_left_out() {
        let save = "*nat\n:POSTROUTING ACCEPT [3:4]\n:CNI-1 - [0:0]\n-A POSTROUTING -s 10.0.0.2 -j CNI-1\nCOMMIT\n";
        assert_eq!(rules(save), [":CNI-1 -", "-A POSTROUTING -s 10.0.0.2 -j CNI-1"]);
    }

    #[test]
    fn nft_rules_have_their_place() {
        let ruleset = "table ip nat {\n\tchain CNI-1 {\n\t\tcounter packets 1 bytes 2 accept\n\t}\n}\n";
        assert_eq!(nft_rules(ruleset), ["table ip nat chain CNI-1", "table ip nat chain CNI-1: counter accept"]);
    }

    #[test]
    fn a_difference_names_what_came_and_went() {
        let state = |lines: &[&str]| HostState {
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
            files_of: Vec::new(),
            scope: Scope::Machine,
        };
        let (before, after) = (state(&["link a", "link b"]), state(&["link b", "netns c"]));
        assert_eq!(before.difference(&after), "+ netns c\n- link a\n");
        assert_eq!(before.difference(&before), "");
    }
}
