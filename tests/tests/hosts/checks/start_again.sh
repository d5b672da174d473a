#!/bin/sh
# The address of a node that was started again is the one that it had.
set -eu
cmp /root/addresses /root/addresses.before
