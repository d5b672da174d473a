#!/bin/sh
# The cluster is back without kubeadm: kubelet makes its lease anew, and reports Ready.
set -eu
KUBECONFIG=$(clusterctl kubeconfig)
export KUBECONFIG
kubectl=$(nodectl which kubectl)
lease='--namespace kube-node-lease lease/node1'
for _ in $(seq 120); do
    # shellcheck disable=SC2086 # words
    ! "$kubectl" delete --request-timeout=60s $lease || break
    sleep 5
done
# shellcheck disable=SC2086 # words
"$kubectl" wait --for=create --timeout=10m $lease
"$kubectl" wait --for=condition=Ready --timeout=10m node/node1
