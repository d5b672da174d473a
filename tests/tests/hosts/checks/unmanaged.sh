#!/bin/sh
# NetworkManager has nothing to do with the bridge, nor with the links of its nodes.
set -eu
nmcli -t -f DEVICE,STATE device
nmcli -t -f DEVICE,STATE device | grep -qx ks-default:unmanaged
! nmcli -t -f DEVICE,STATE device | grep '^veth' | grep -v ':unmanaged$'
