#!/bin/sh
# Run delve on a node, attached to the process of COMPONENT whose program has this SHA256, until standard input ends.
# Print the process's id, or end with status 3 if there is no such process. delve listens on a socket that only root can open:
# its clients act as root.
set -eu
component=$1 sha256=$2 socket=$3

pid=
for exe in /proc/[0-9]*/exe; do
    # The link of a replaced program ends in " (deleted)". A process that has ended has no link.
    case $(readlink "$exe") in
    */"$component" | */"$component (deleted)") ;;
    *) continue ;;
    esac
    [ "$(sha256sum <"$exe")" = "$sha256  -" ] || continue
    pid=${exe#/proc/}
    pid=${pid%/exe}
    # Of several, one that no debugger has yet.
    ! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$pid/status" || break
done
if [ -z "$pid" ]; then
    exit 3
fi

echo "$pid"

install -d -m 700 "${socket%/*}"
trap 'rm -f "$socket"' EXIT
/usr/local/lib/kubeadm-systemd/dlv attach "$pid" --headless --api-version=2 --accept-multiclient --continue \
    --listen="unix:$socket" >/dev/null &
delve=$!
# The connection has ended, however that came about: asked by SIGTERM, delve takes its breakpoints out of the process.
# A command in the background has no standard input but one that it is given.
exec 3<&0
{
    cat <&3
    kill "$delve"
} >/dev/null 2>&1 &
watcher=$!
status=0
wait "$delve" || status=$?
kill "$watcher" 2>/dev/null || true
exit "$status"
