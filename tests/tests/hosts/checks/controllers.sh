#!/bin/sh
# The node has all that kubelet wants of cgroup version 2.
set -eu
have=$(nodectl exec node1 -- cat /sys/fs/cgroup/cgroup.controllers)
echo "$have"
for one in cpuset cpu io memory pids; do
    case " $have " in
    *" $one "*) ;;
    *) exit 1 ;;
    esac
done
