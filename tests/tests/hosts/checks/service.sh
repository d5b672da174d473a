#!/bin/sh
# cnispawn@.service as an administrator uses it: a system in /var/lib/machines gets a network, keeps it over a reboot of
# its own, and leaves nothing. The system is the node image's.
set -eu

reached() {
    for _ in $(seq 120); do
        ! ping -c1 -W1 "$1" >/dev/null 2>&1 || return 0
        sleep 1
    done
    echo "$1 is not reached"
    systemctl status --no-pager cnispawn@web.service
    return 1
}

leader() {
    machinectl show --property=Leader --value web
}

# Until its systemd has come up, nobody is there to take an order: a stop would wait for the unit's time-out.
up() {
    for _ in $(seq 120); do
        ! nsenter -t "$1" -a systemctl is-system-running | grep -x 'running\|degraded' || return 0
        sleep 1
    done
    echo "web does not come up"
    return 1
}

scratch=/run/web-system
set -- /var/lib/kubeadm-systemd/images/default/*/rootfs
mkdir -p /var/lib/machines/web "$scratch/upper" "$scratch/work"
mount -t overlay -o "lowerdir=$1,upperdir=$scratch/upper,workdir=$scratch/work" web /var/lib/machines/web

systemctl start cnispawn@web.service
address=$(cnispawn ls --json | grep -o '[0-9.]\{7,\}' | head -n1)
echo "web has $address"
reached "$address"
machinectl status --no-pager web

before=$(leader)
up "$before"
machinectl reboot web
for _ in $(seq 120); do
    # Between the two there is none.
    after=$(leader) || after=$before
    [ "$after" = "$before" ] || break
    sleep 1
done
[ "$after" != "$before" ]
cnispawn ls --json | grep -F "\"$address"
reached "$address"

up "$after"
systemctl stop cnispawn@web.service
umount /var/lib/machines/web
rm -r "$scratch" /var/lib/machines/web
[ -z "$(cnispawn ls --json)$(ip netns list)$(ip -o link show type veth)" ]
