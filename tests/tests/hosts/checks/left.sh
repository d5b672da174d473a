#!/bin/sh
# Nothing is left of the node that runs, when its unit has ended.
set -eu
for _ in $(seq 120); do
    if ! systemctl is-active --quiet nodectl-node1.default.service &&
        [ -z "$(ip netns list)$(ip -o link show type veth)$(ip -o link show type bridge | grep ks-default)" ]; then
        exit 0
    fi
    sleep 1
done
ip netns list
ip -o link
systemctl status --no-pager nodectl-node1.default.service
exit 1
