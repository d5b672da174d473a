//! QEMU's command line for a machine.

use std::ffi::OsString;
use std::path::Path;

use super::accelerator::Accelerator;
use super::system::Disk;
use super::{OUTSIDE, OUTSIDE_SAYS};

/// The command that runs a machine on the disks in `dir`, with its sshd at `port` of this host's loopback.
pub(super) fn command(dir: &Path, disk: &Disk, accelerator: Accelerator, port: u16) -> Vec<OsString> {
    let mut command: Vec<OsString> = vec!["qemu-system-x86_64".into()];
    command.extend(accelerator.machine(disk.system.emulated_processor).map(OsString::from));
    command.push("-no-reboot".into());
    let mut add = |flag: &str, value: OsString| command.extend([flag.into(), value]);
    add("-smp", "2".into());
    add("-m", "6G".into());
    // The disk has no boot loader.
    add("-kernel", disk.kernel().into());
    add("-initrd", disk.initrd().into());
    // Page table isolation throws away QEMU's translations at each system call. A kernel that panics ends QEMU, and one
    // that goes on after an oops would most often hang; without no_console_suspend, one that does so while it falls asleep
    // or wakes would not be heard. Timers as coarse as the tick: Linux 7.2's interrupted each processor 1100 times a second
    // in a `kubeadm init`, and 250 times with these and without DAMON's statistics.
    let options = "quiet mitigations=off highres=off oops=panic panic=-1 no_console_suspend";
    add("-append", format!("root=/dev/vda rw console=ttyS0 {options} {}", disk.system.kernel_options).into());
    for name in ["root.raw", "state.raw"] {
        // The machine dies in tests, this host does not: nothing has to reach its disk.
        let path = with_file("file=", dir, name);
        add("-drive", joined([path, ",format=raw,if=virtio,cache=unsafe".into()]));
    }
    let (outside, outside_port) = OUTSIDE;
    let forward = format!("hostfwd=tcp:127.0.0.1:{port}-:22");
    let answer = format!("guestfwd=tcp:{outside}:{outside_port}-cmd:echo {OUTSIDE_SAYS}");
    // Whatever a machine sends elsewhere goes no farther than QEMU.
    add("-nic", format!("user,restrict=on,model=virtio-net-pci,{forward},{answer}").into());
    add("-device", "virtio-rng-pci".into());
    add("-serial", with_file("file:", dir, "console.log"));
    add("-qmp", joined([with_file("unix:", dir, "monitor.sock"), ",server=on,wait=off".into()]));
    command
}

fn with_file(prefix: &str, dir: &Path, name: &str) -> OsString {
    joined([prefix.into(), dir.join(name).into()])
}

fn joined(parts: [OsString; 2]) -> OsString {
    parts.into_iter().collect()
}
