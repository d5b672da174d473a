//! How much memory and CPU time a node may use.

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::host::Hierarchy;

/// Microseconds over which CPU time is shared out: the kernel's own default (cgroup-v2.rst, `cpu.max`).
const PERIOD: u64 = 100_000;

/// Limits of a node's cgroup. Inside, /proc/meminfo still shows the host's memory, and kubelet the host's capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
pub(crate) struct Limits {
    /// The most memory that each node may use, as 2GiB or 1500MB; reaching it has the kernel kill a process of the node
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<u64>,
    /// The most CPU time that each node may use, in CPUs: 1.5
    #[arg(long, value_name = "CPUS", value_parser = cpus)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpus: Option<f64>,
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    text.parse().map(|size: ByteSize| size.as_u64())
}

fn cpus(text: &str) -> Result<f64, String> {
    checked_cpus(text.parse().unwrap_or(f64::NAN))
}

/// The number, if it is one of CPUs. The kernel accepts no quota below a millisecond.
pub(super) fn checked_cpus(number: f64) -> Result<f64, String> {
    if number.is_finite() && number >= 0.01 {
        return Ok(number);
    }
    Err("not a number of CPUs of at least 0.01".to_owned())
}

impl Limits {
    /// These limits, and of `older` those that are not set here.
    pub(crate) fn or(self, older: Self) -> Self {
        Limits { memory: self.memory.or(older.memory), cpus: self.cpus.or(older.cpus) }
    }

    /// As properties of a unit (systemd.resource-control(5)).
    pub(crate) fn unit_properties(&self) -> Vec<String> {
        let memory = self.memory.map(|memory| format!("MemoryMax={memory}"));
        let cpus = self.cpus.map(|cpus| format!("CPUQuota={:.0}%", cpus * 100.0));
        memory.into_iter().chain(cpus).collect()
    }

    /// As files of the node's cgroup in one hierarchy, named as in /proc/PID/cgroup: the files and what to write.
    pub(crate) fn cgroup_files(&self, kind: Hierarchy, hierarchy: &str) -> Vec<(&'static str, String)> {
        let memory = self.memory.map(|memory| memory.to_string());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: at least 0.01")]
        let quota = self.cpus.map(|cpus| (cpus * PERIOD as f64) as u64);
        let files = match (kind, hierarchy) {
            (Hierarchy::Unified, "") => {
                [("memory.max", memory), ("cpu.max", quota.map(|quota| format!("{quota} {PERIOD}")))]
            }
            (Hierarchy::Legacy, "memory") => [("memory.limit_in_bytes", memory), ("", None)],
            (Hierarchy::Legacy, "cpu") => [("cpu.cfs_quota_us", quota.map(|quota| quota.to_string())), ("", None)],
            _ => return Vec::new(),
        };
        files.into_iter().filter_map(|(file, value)| Some((file, value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_each_hierarchy_wants_them() {
        let limits = Limits { memory: bytes("2GiB").ok(), cpus: Some(1.5) };
        assert_eq!(limits.unit_properties(), ["MemoryMax=2147483648", "CPUQuota=150%"]);
        let v2 = [("memory.max", "2147483648".to_owned()), ("cpu.max", "150000 100000".to_owned())];
        assert_eq!(limits.cgroup_files(Hierarchy::Unified, ""), v2);
        let v1 = |controller| limits.cgroup_files(Hierarchy::Legacy, controller);
        assert_eq!(v1("memory"), [("memory.limit_in_bytes", "2147483648".to_owned())]);
        assert_eq!(v1("cpu"), [("cpu.cfs_quota_us", "150000".to_owned())]);
        assert!(v1("pids").is_empty() && v1("").is_empty());
        assert!(cpus("0").is_err() && cpus("nan").is_err() && cpus("2").is_ok());
    }
}
