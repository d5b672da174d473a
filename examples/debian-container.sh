#!/bin/sh
# Run a plain Debian container, which has nothing to do with Kubernetes, on a network of its own.
#
#     sudo examples/debian-container.sh [DIR]
#
# DIR keeps the container's root file system for the next time; without it, it is made anew and removed again.
# CNISPAWN names the cnispawn to use; the one in PATH unless set.
set -eu

cnispawn=${CNISPAWN:-cnispawn}
for tool in "$cnispawn" mmdebstrap systemd-nspawn; do
    command -v "$tool" >/dev/null || { echo "$0: $tool not found in PATH" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "$0: must run as root" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
dir=${1:-$work/cache}

if [ ! -d "$dir/rootfs" ]; then
    echo "making a Debian root file system in $dir/rootfs" >&2
    mkdir -p "$dir"
    # Renamed when it is whole: an interrupted run leaves nothing that looks like one.
    rm -rf "$dir/rootfs.new"
    mmdebstrap --quiet --variant=minbase --include=iproute2,iputils-ping trixie "$dir/rootfs.new" >&2
    mv "$dir/rootfs.new" "$dir/rootfs"
fi

# No network configuration at all: cnispawn has one built in. What it keeps of it goes with this script.
export CNISPAWN_STATE_DIR="$work/state" CNISPAWN_RUN_DIR="$work/run" CNISPAWN_CACHE_DIR="$work/cni"

status=0
# Expanded in the container.
# shellcheck disable=SC2016
"$cnispawn" run debian --network cnispawn0 -- \
    --quiet --as-pid2 --volatile=overlay --pipe --directory="$dir/rootfs" \
    /bin/sh -euc '
        ping -q -c 3 -i 0.2 -W 5 "$(ip route show default | cut -d" " -f3)"
        ip -brief address show dev eth0
    ' || status=$?

# The watcher undoes the network in the background; this waits for it.
"$cnispawn" gc
exit "$status"
