#!/usr/bin/python3
"""Write several small files, and run what needs them, in one task: each task costs a round trip to every node."""

from __future__ import annotations

import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: write_files
short_description: Write several small files, and run a command with them
description:
  - Writes each file whole or not at all, with its mode, and makes the directories that it needs.
  - A file that is as it should be is left alone.
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where.
        type: path
        required: true
      content:
        description: The whole content.
        type: str
        required: true
      mode:
        description: Permissions, in octal.
        type: str
        default: "0644"
  on_change:
    description: A shell command that is run when a file was not as it should be. When it fails, so does the task, and
      the files are removed again, so that the next run tries again.
    type: str
  run:
    description: A shell command that is run after the files are written, unless O(creates) exists.
    type: str
  creates:
    description: A file that O(run) leaves when it has succeeded.
    type: path
author: kubeadm-systemd
"""

EXAMPLES = """
- name: Write two files
  write_files:
    files:
      - path: /etc/example/a
        content: "one line\n"
      - path: /usr/local/bin/b
        content: "{{ lookup('ansible.builtin.file', 'b') }}\n"
        mode: "0755"

- name: Write a secret and use it
  write_files:
    files:
      - path: /etc/example/secret
        content: "{{ example_secret }}\n"
        mode: "0600"
    run: example --secret-file /etc/example/secret && touch /etc/example/done
    creates: /etc/example/done
"""

RETURN = """
written:
  description: Paths of the files that were not as they should be.
  returned: always
  type: list
"""


def is_current(path, content, mode):
    """Tell whether the file is there with this content and mode."""
    try:
        with open(path, "rb") as file:
            return file.read() == content and os.stat(path).st_mode & 0o7777 == mode
    except FileNotFoundError:
        return False


def write(path, content, mode):
    """Write by way of a temporary file beside it: nobody reads half a file."""
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, mode)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def main():
    """Write what differs."""
    suboptions = {
        "path": {"type": "path", "required": True},
        # Not in what is told of a failure. (Not in the node's journal either: ansible_no_target_syslog.)
        "content": {"type": "str", "required": True, "no_log": True},
        "mode": {"type": "str", "default": "0644"},
    }
    argument_spec = {
        "files": {"type": "list", "elements": "dict", "required": True, "options": suboptions},
        "on_change": {"type": "str"},
        "run": {"type": "str"},
        "creates": {"type": "path"},
    }
    module = AnsibleModule(
        argument_spec=argument_spec, required_together=[("run", "creates")], supports_check_mode=True
    )
    written = []
    for file in module.params["files"]:
        path, content, mode = file["path"], file["content"].encode(), int(file["mode"], 8)
        try:
            if is_current(path, content, mode):
                continue
            if not module.check_mode:
                write(path, content, mode)
        except OSError as error:
            module.fail_json(msg=f"cannot write {path}: {error.strerror}")
        written.append(path)
    on_change = module.params["on_change"]
    if written and on_change and not module.check_mode:
        status, out, err = module.run_command(on_change, use_unsafe_shell=True)
        if status != 0:
            for path in written:
                os.unlink(path)
            module.fail_json(msg=f"`{on_change}` ended with {status}", stdout=out, stderr=err)
    run, creates = module.params["run"], module.params["creates"]
    ran = bool(run) and not os.path.exists(creates)
    if ran and not module.check_mode:
        status, out, err = module.run_command(run, use_unsafe_shell=True)
        if status != 0:
            module.fail_json(msg=f"`{run.strip()}` ended with {status}", stdout=out, stderr=err)
    module.exit_json(changed=bool(written) or ran, written=written)


if __name__ == "__main__":
    main()
