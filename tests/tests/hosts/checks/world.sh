#!/bin/sh
# The node reaches the world outside of the host: OUTSIDE says `outside`.
set -eu
# shellcheck disable=SC2016 # for the node's bash
nodectl exec node1 -- bash -c 'read -r line </dev/tcp/10.0.2.100/7 && [ "$line" = outside ]'
