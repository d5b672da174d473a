#!/bin/sh
# The node is reached, at the latest a while after what has disturbed it.
set -eu
for _ in $(seq 30); do
    ! ping -c1 -W2 "$(cat /root/addresses)" || exit 0
    sleep 1
done
exit 1
