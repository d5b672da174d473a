#!/bin/sh
# kubeadm makes a cluster of the node, with every preflight check on, and the node becomes Ready.
set -eu
cd /root
clusterctl inventory <nodes >inventory.yml
clusterctl up -i inventory.yml --timeout 1700
nodectl exec node1 -- grep -x ' *ignorePreflightErrors: \[\]' /etc/kubernetes/kubeadm-systemd/init.yaml
KUBECONFIG=$(clusterctl kubeconfig) "$(nodectl which kubectl)" wait --for=condition=Ready node/node1 --timeout=5m
