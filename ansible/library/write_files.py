#!/usr/bin/python3
"""Documentation of the action plugin of this name, which does all of it."""

DOCUMENTATION = """
module: write_files
short_description: Write several small files on a node in one round trip
description:
  - Writes each file that is not as it should be, whole or not at all. Honours check mode.
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      content:
        description: What is in it.
        type: str
        required: true
      mode:
        description: Its mode, in octal.
        type: str
        default: "0644"
  on_change:
    description:
      - A shell command that is run on the node once a file has changed. If it fails, the files are removed again, so that
        the next run tries again.
    type: str
author: kubeadm-systemd
"""

EXAMPLES = """
- name: Write a file
  write_files:
    files:
      - path: /etc/example/a
        content: "one line"
"""

RETURN = """
written:
  description: The paths that were, or in check mode would be, written.
  returned: success
  type: list
"""
