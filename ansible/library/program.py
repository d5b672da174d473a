#!/usr/bin/python3
"""Documentation of the action plugin of this name, which does all of it."""

DOCUMENTATION = """
module: program
short_description: Run one of our programs on a node
description:
  - Runs a Python program of C(programs/), in one round trip and in a fraction of the time that a module takes.
  - The program's C(main) gets the arguments, and returns the task's result.
options:
  name:
    description: The program.
    type: str
    required: true
  arguments:
    description: What it is called with; the program says with what.
    type: dict
    required: true
author: kubeadm-systemd
"""

EXAMPLES = """
- name: Write a file
  program:
    name: write_files
    arguments:
      files:
        - path: /etc/example/a
          content: "one line"
"""

RETURN = ""
