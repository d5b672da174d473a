//! What runs a virtual machine's instructions: the processor, where that really works, else QEMU.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// An accelerator of QEMU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// QEMU's translation; ten times slower.
    Tcg,
}

/// Seconds that a kernel may take to come to its end under KVM.
const TRIAL: &str = "20";

impl Accelerator {
    /// KVM if a kernel comes to its end under it: a device that is there may still be of no use, in a virtual machine
    /// whose own host does not let it have virtual machines.
    ///
    /// # Panics
    /// When timeout(1) is missing.
    pub fn choose(kernel: &Path) -> Self {
        let mut trial = Command::new("timeout");
        trial.args(["--kill-after=5", TRIAL, "qemu-system-x86_64"]).args(Self::Kvm.machine(""));
        // It finds no root, panics, and reboots: QEMU ends then.
        trial.args(["-m", "512", "-no-reboot", "-append", "panic=-1", "-kernel"]).arg(kernel);
        trial.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let ended = trial.status().expect("timeout runs");
        if ended.success() { Self::Kvm } else { Self::Tcg }
    }

    /// QEMU's arguments for a machine that has nothing but such a processor; one that is emulated has `emulated` set
    /// (`,cx16=off`), too.
    pub fn machine(self, emulated: &str) -> [String; 9] {
        let (accelerator, processor) = match self {
            Self::Kvm => ("kvm", "host".to_owned()),
            // Without what costs an emulation most at each system call and each miss of its TLB, and shows nothing. And
            // without ERMS: Linux would clear pages by `rep stosb`, which QEMU does byte by byte, and in that it was 38 of
            // 100 times that it was looked at during a `kubeadm init`; 3 times with `rep stosq`.
            Self::Tcg => ("tcg,thread=multi", format!("max,la57=off,pku=off,smap=off,erms=off{emulated}")),
        };
        ["-nodefaults", "-machine", "q35", "-display", "none", "-accel", accelerator, "-cpu", &processor]
            .map(str::to_owned)
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}
