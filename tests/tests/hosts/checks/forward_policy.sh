#!/bin/sh
# What does not belong to Docker or ufw is not forwarded by them: else this host would show nothing.
set -eu
iptables -S FORWARD
iptables -S FORWARD | grep -qx -e '-P FORWARD DROP'
