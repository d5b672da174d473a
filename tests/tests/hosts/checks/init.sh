#!/bin/sh
# kubeadm makes a cluster of the node, with every preflight check on, and the node becomes Ready.
set -eu
cd /root
clusterctl inventory <nodes >inventory.yml
# Emulated processors: who loses an election for having been slow to renew a lease starts again, which makes all others
# slower, until the API server's own deadlines pass.
clusterctl up -i inventory.yml --timeout 1700 --extra-arg kube-controller-manager:leader-elect=false \
  --extra-arg kube-scheduler:leader-elect=false
nodectl exec node1 -- grep -x ' *ignorePreflightErrors: \[\]' /etc/kubernetes/kubeadm-systemd/init.yaml
KUBECONFIG=$(clusterctl kubeconfig) "$(nodectl which kubectl)" wait --for=condition=Ready node/node1 --timeout=5m
