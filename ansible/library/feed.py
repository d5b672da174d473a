#!/usr/bin/python3
"""Documentation of the action plugin of this name, which does all of it."""

DOCUMENTATION = """
module: feed
short_description: Give a command on a node the content of a file of this host
description:
  - Runs a command with a file as its standard input, in one round trip and without a copy of the file on the node.
    M(ansible.builtin.copy) takes four, and reads the file three times.
options:
  src:
    description: The file on this host.
    type: path
    required: true
  command:
    description: A shell command.
    type: str
    required: true
author: kubeadm-systemd
"""

EXAMPLES = """
- name: Import an image
  feed:
    src: /tmp/image.tar
    command: ctr --namespace k8s.io images import -
"""

RETURN = """
rc:
  description: The command's exit status.
  returned: always
  type: int
"""
