//! The Debian package, installed by apt in a clean trixie, used there, and removed.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use tests::fixture::succeed;

use super::make::{make, workspace};
use super::packages::packages;

/// What is done in the clean system: its apt gets the dependencies, and nothing else.
const IN_TRIXIE: &str = r#"
set -eux
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
find / -xdev | sort >/tmp/before
apt-get install --yes -qq --no-install-recommends /tmp/package/*.deb

cd /var/tmp
kubeadm-systemd --help | grep -q '^Usage: kubeadm-systemd COMMAND'
# The package's dependencies are all that setup wants; trixie's own Ansible is new enough.
test -z "$(kubeadm-systemd setup 2>&1)"
test "$(clusterctl which)" = /usr/bin/ansible-playbook
# As clusterctl runs it: nothing compiled may be left beside the playbooks.
PYTHONDONTWRITEBYTECODE=1 ANSIBLE_CONFIG=/usr/share/kubeadm-systemd/ansible/ansible.cfg \
    ansible-playbook --syntax-check /usr/share/kubeadm-systemd/ansible/*.yml

for page in kubeadm-systemd kubeadm-systemd-up cnispawn-run nodectl-start clusterctl-up; do
    man -w "$page"
    MANWIDTH=80 man "$page" | grep -q '^NAME'
done
for program in kubeadm-systemd cnispawn nodectl clusterctl; do
    # As bash-completion loads it when Tab is pressed.
    bash -euc ". /usr/share/bash-completion/bash_completion; __load_completion $program; complete -p $program"
done
test -f /usr/lib/systemd/system/cnispawn@.service

dpkg --listfiles kubeadm-systemd | sort >/tmp/installed
apt-get remove --yes -qq kubeadm-systemd
find / -xdev | sort >/tmp/after
# What it shares with other packages are directories.
comm -13 /tmp/before /tmp/after | comm -12 - /tmp/installed >/tmp/left
while read -r left; do test -d "$left"; done </tmp/left
test -z "$(find / -xdev -not -path '/tmp/*' -not -path '/var/cache/man/*' -name '*kubeadm-systemd*')"
"#;

/// A minimal trixie with apt, man and bash-completion; kept for the next run.
fn trixie() -> PathBuf {
    let root = PathBuf::from(concat!(env!("CARGO_TARGET_TMPDIR"), "/trixie"));
    if !root.exists() {
        let half = root.with_extension("half");
        let mut rm = Command::new("rm");
        succeed(rm.args(["--recursive", "--force", "--one-file-system"]).arg(&half));
        let mut mmdebstrap = Command::new("mmdebstrap");
        mmdebstrap.args(["--mode=root", "--variant=apt", "--include=man-db,bash-completion", "trixie"]).arg(&half);
        succeed(&mut mmdebstrap);
        std::fs::rename(&half, &root).expect("renamed");
    }
    root
}

/// The package, made once.
static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    make(&["deb"]);
    let architecture = succeed(Command::new("dpkg").arg("--print-architecture"));
    let version = env!("CARGO_PKG_VERSION");
    workspace().join(format!("target/debian/kubeadm-systemd_{version}-1_{}.deb", architecture.trim()))
});

#[test]
fn a_clean_trixie_installs_uses_and_removes_it() {
    let mut nspawn = Command::new("systemd-nspawn");
    // On the host's network, for apt; what is written goes to a tmpfs.
    nspawn.args(["--quiet", "--register=no", "--keep-unit", "--as-pid2", "--pipe", "--volatile=overlay"]);
    // tzdata wants to write /etc/localtime.
    nspawn.arg("--timezone=off");
    nspawn.arg("--directory").arg(trixie());
    nspawn.arg(format!("--bind-ro={}:/tmp/package/kubeadm-systemd.deb", PACKAGE.display()));
    succeed(nspawn.args(["/bin/sh", "-c", IN_TRIXIE]));
}

#[test]
fn it_depends_on_all_that_setup_would_install() {
    let depends = succeed(Command::new("dpkg-deb").arg("--field").arg(&*PACKAGE).arg("Depends"));
    let depends: Vec<_> = depends.split([',', '|']).filter_map(|word| word.split_whitespace().next()).collect();
    let missing: Vec<_> = packages("apt", &["run", "venv"]).into_iter().filter(|p| !depends.contains(&&**p)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing from {depends:?}");
    assert!(depends.contains(&"libc6"), "the binaries' libraries are there: {depends:?}");
}
