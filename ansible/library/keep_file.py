#!/usr/bin/python3
"""Documentation of the action plugin of this name, which does all of it."""

DOCUMENTATION = """
module: keep_file
short_description: Keep a node's file on this host
description:
  - Copies a small text file from a node to this host, for its user alone (mode 0600). Honours check mode.
options:
  src:
    description: The file on the node.
    type: path
    required: true
  dest:
    description: The file on this host.
    type: path
    required: true
author: kubeadm-systemd
"""

EXAMPLES = """
- name: Keep the kubeconfig
  keep_file:
    src: /etc/kubernetes/admin.conf
    dest: kubeconfig
"""

RETURN = ""
