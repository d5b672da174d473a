#!/usr/bin/python3
"""Replace a program of a node, restart its service, and take it back when that is not well."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.component import (
    PATIENCE,
    Late,
    Problem,
    Processes,
    answer,
    is_well,
    last_lines,
    run,
    sha256,
    take_back,
    wait,
)

DOCUMENTATION = """
module: swap_program
short_description: Replace a program of a node
description:
  - Puts a program in another one's place, and waits until its service runs that very program and is well.
  - Otherwise puts back the program that was there.
options:
  component:
    description: The program's name.
    type: str
    required: true
  node:
    description: The node's name in the cluster.
    type: str
    required: true
  state:
    description: V(new) runs O(program), V(previous) what was there before that, V(original) what came with the node.
    type: str
    choices: [new, previous, original]
    default: new
  program:
    description: The new program, which is moved away from here.
    type: path
  sha256:
    description: SHA-256 of its content.
    type: str
  version:
    description: What it says its version is, as the node has to report it.
    type: str
  timeout:
    description: Seconds that it may take to be well.
    type: int
    default: 60
author: kubeadm-systemd
"""

EXAMPLES = """
- name: Run another kubelet
  swap_program:
    component: kubelet
    node: node1
    program: /var/lib/kubelet/.swap-kubelet
    sha256: 0123456789abcdef
"""

RETURN = ""

# Those that a service runs all the time.
SERVICES = ("containerd", "kubelet")


class Program:
    """A program of the node."""

    def __init__(self, name, node, timeout):
        self.name = name
        self.node = node
        self.timeout = timeout
        self.processes = Processes(name)
        self.path = shutil.which(name)
        if not self.path:
            raise Problem(f"{name} is not installed on this node")

    def kept(self, which):
        """Where a program is kept that was replaced: beside it, where it can be renamed."""
        return os.path.join(os.path.dirname(self.path), f".{self.name}.{which}")

    def swap(self, program, digest, version):
        """Run another program. Returns whether it was another one."""
        if self.is_there(program, digest):
            os.unlink(program)
            return False
        os.chmod(program, 0o755)
        new = self.kept("new")
        shutil.move(program, new)
        if self.name not in SERVICES:
            self.check(new, digest)
        link(self.path, self.kept("previous"))
        if not os.path.exists(self.kept("original")):
            link(self.path, self.kept("original"))
        try:
            self.switch(new, digest, version)
        except Problem as problem:
            take_back(problem, lambda: self.back("previous"), f"the previous {self.name} is back")
        return True

    def check(self, new, digest):
        """See whether it is that program, and can be run at all, where nothing else will tell."""
        try:
            if sha256(new) != digest:
                raise Problem(f"{self.name} has changed on its way here")
            run(new, "version" if self.name == "kubeadm" else "--version")
        except Problem:
            os.unlink(new)
            raise

    def is_there(self, program, digest):
        """Tell whether there is nothing to do."""
        # Half a second's work, which a look at the sizes saves most often.
        is_equal = os.path.getsize(self.path) == os.path.getsize(program) and sha256(self.path) == digest
        return is_equal and self.runs(digest)

    def runs(self, digest):
        """Tell whether that is what the service runs, if it is one."""
        return self.name not in SERVICES or bool(self.processes.of(digest))

    def back(self, which):
        """Run what was there before. Returns whether it was something else."""
        kept = self.kept(which)
        if os.path.exists(kept) and os.path.samefile(kept, self.path):
            # In place already. Of two names of one file, rename(2) would leave both.
            os.unlink(kept)
        program = kept if os.path.exists(kept) else self.path
        digest = sha256(program)
        # One that is in place may not run yet: somebody was killed in between.
        is_other = program == kept or not self.runs(digest)
        if is_other:
            self.switch(program, digest, None)
        if which == "original" and os.path.exists(self.kept("previous")):
            os.unlink(self.kept("previous"))
        return is_other

    def switch(self, program, digest, version):
        """Put a program in place, restart its service, and wait until that runs it and is well."""
        # In one step: the program is there all the time.
        os.replace(program, self.path)
        if self.name not in SERVICES:
            return
        started = time.time()
        unit = f"{self.name}.service"
        try:
            run("systemctl", "restart", unit, patience=self.timeout + PATIENCE)
        except Problem:
            raise Problem(f"{self.name} does not start; its log:\n{log(unit, started)}") from None

        def is_done():
            # Counted since it was last started by hand, which is now.
            if show(unit, "SubState") in ("auto-restart", "failed") or show(unit, "NRestarts") != "0":
                raise Problem(f"{self.name} has ended right after its start; its log:\n{log(unit, started)}")
            return bool(self.processes.of(digest)) and self.is_well(started, version)

        try:
            wait(self.timeout, is_done, f"{self.name} is not well")
        except Late as problem:
            raise Problem(f"{problem}; its log:\n{log(unit, started)}") from None

    def is_well(self, started, version):
        """Tell whether the service does its work: kubelet has told the API server so since its start."""
        if self.name == "containerd":
            return serves_kubelet()
        if not is_well("http://127.0.0.1:10248/healthz"):
            return False
        try:
            words = ("--kubeconfig=/etc/kubernetes/kubelet.conf", "get", "node", self.node, "--output=json")
            status = json.loads(run("kubectl", *words))["status"]
        except Problem:
            return False
        ready = next(each for each in status["conditions"] if each["type"] == "Ready")
        told = datetime.strptime(ready["lastHeartbeatTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        is_new = version in (None, status["nodeInfo"]["kubeletVersion"])
        # The API server's times are whole seconds.
        return ready["status"] == "True" and is_new and told.timestamp() >= int(started)


def serves_kubelet():
    """Tell whether containerd's plugin for kubelet has come up: containerd runs without it, too."""
    try:
        lines = [line.split() for line in run("ctr", "plugins", "ls").splitlines()]
    except Problem:
        return False
    return any(line[1:2] == ["cri"] and line[0].startswith("io.containerd.grpc.") and line[-1] == "ok" for line in lines)


def link(path, to):
    """Give a file a second name, in place of another file's."""
    if os.path.exists(to):
        os.unlink(to)
    os.link(path, to)


def show(unit, what):
    """A property of a unit."""
    return run("systemctl", "show", f"--property={what}", "--value", unit).strip()


def log(unit, since):
    """The end of what a unit has said since a time."""
    return last_lines(run("journalctl", f"--unit={unit}", f"--since=@{since:.0f}", "--output=cat"))


def act(params):
    """Swap. Returns whether it was something else."""
    program = Program(params["component"], params["node"], params["timeout"])
    if params["state"] == "new":
        return program.swap(params["program"], params["sha256"], params["version"])
    return program.back(params["state"])


def main():
    """Take what Ansible passes."""
    argument_spec = {
        "component": {"type": "str", "required": True},
        "node": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["new", "previous", "original"], "default": "new"},
        "program": {"type": "path"},
        "sha256": {"type": "str"},
        "version": {"type": "str"},
        "timeout": {"type": "int", "default": 60},
    }
    module = AnsibleModule(argument_spec=argument_spec, required_if=[("state", "new", ("program", "sha256"))])
    answer(module, act)


if __name__ == "__main__":
    main()
