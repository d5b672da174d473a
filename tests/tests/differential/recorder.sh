#!/bin/sh
# A plugin under any name: record what it is given, in order, then do what the case has for the name and the command.
case=${0%/*}/..
behaviour=${0##*/}.$CNI_COMMAND

# log/0.stdin is there from the beginning, so the number of files is the next one's number.
set -- "$case"/log/*.stdin
cat >"$case/log/$#.stdin"
cat /proc/$$/environ >"$case/log/$#.environ"
printf %s "${0##*/}" >"$case/log/$#.plugin"

if [ -e "$case/script/$behaviour" ]; then
    # shellcheck disable=SC1090 # written by the test
    . "$case/script/$behaviour"
    exit
fi
[ -e "$case/debug/$behaviour" ] || echo '{}' >"$case/debug/$behaviour"
CNI_ARGS=DEBUG=$case/debug/$behaviour exec "$case/noop/noop" <"$case/log/$#.stdin"
