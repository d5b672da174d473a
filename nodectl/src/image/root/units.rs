//! Which units of systemd a node starts, and which are masked.

/// Started at boot: a unit, its directory, and the target that wants it.
pub(super) const ENABLED: [(&str, &str, &str); 4] = [
    ("legacy-cgroups.service", "/etc/systemd/system", "sysinit.target"),
    ("containerd.service", "/etc/systemd/system", "multi-user.target"),
    ("kubelet.service", "/usr/lib/systemd/system", "multi-user.target"),
    ("ssh.service", "/usr/lib/systemd/system", "multi-user.target"),
];

/// Units that a node in a container does not need, or that would change the host: /proc/sys and /sys are writable.
pub(super) const MASKED: [&str; 54] = [
    // The host's business: sysctls, devices, modules, clock, power.
    "systemd-sysctl.service",
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
    "systemd-udev-settle.service",
    "systemd-modules-load.service",
    "modprobe@.service",
    "kmod-static-nodes.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-timesyncd.service",
    "systemd-random-seed.service",
    "systemd-boot-random-seed.service",
    "systemd-rfkill.socket",
    "systemd-pstore.service",
    "systemd-backlight@.service",
    "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "systemd-fsck-root.service",
    "systemd-remount-fs.service",
    // nodectl start has done it: identity, addresses, name servers.
    "systemd-firstboot.service",
    "systemd-machine-id-commit.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-network-generator.service",
    "systemd-resolved.service",
    "sshd-keygen.service",
    // A file system in memory, of the node's whole size.
    "tmp.mount",
    // Done when the image was built.
    "ldconfig.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-update-done.service",
    "systemd-sysusers.service",
    // There is no console to log in at.
    "getty.target",
    "console-getty.service",
    "container-getty@.service",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-user-sessions.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    // Upkeep of a machine that lives for years.
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "systemd-tmpfiles-clean.timer",
];

/// Settings of systemd-tmpfiles(8) that do not apply. The first makes /run/nologin, which
/// systemd-user-sessions.service, masked above, would remove: sshd would refuse logins because the system still boots.
pub(super) const UNUSED_TMPFILES: [&str; 1] = ["systemd-nologin.conf"];
