#!/bin/sh
# A node starts, and is running; its address is written down, the one that it had before in addresses.before.
set -eu
cd /root
[ ! -e addresses ] || mv addresses addresses.before
nodectl start node1 --image default --timeout 600 >nodes
sed 's/.*"addresses":\["\([^"]*\)".*/\1/' nodes >addresses
[ "$(nodectl exec node1 -- systemctl is-system-running)" = running ]
