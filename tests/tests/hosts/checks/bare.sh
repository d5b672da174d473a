#!/bin/sh
# A host with cgroup version 2 and no systemd to ask, as a container is: the same machine, its systemd out of sight. The
# node is a daemon there, and no machine of systemd-machined's.
set -eu
unshare --mount sh -eu <<'BARE'
mount -t tmpfs tmpfs /run/systemd
export KUBEADM_SYSTEMD_CLUSTER=bare
nodectl start node1 --image default --timeout 600
[ "$(nodectl exec node1 -- systemctl is-system-running)" = running ]
have=$(nodectl exec node1 -- cat /sys/fs/cgroup/cgroup.controllers)
for one in cpuset cpu memory pids; do
    case " $have " in
    *" $one "*) ;;
    *) echo "the node has only $have" && exit 1 ;;
    esac
done
if machinectl list --no-legend | grep node1.bare; then exit 1; fi
nodectl rm --all
[ -z "$(ip netns list)$(ip -o link show type veth)" ]
[ -z "$(find /sys/fs/cgroup -type d -name 'kubeadm-systemd*')" ]
BARE
