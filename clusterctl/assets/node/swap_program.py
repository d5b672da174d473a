"""Replace a program of a node, restart its service, and roll back if that is not healthy."""

from __future__ import annotations

import os
import shutil
import time
from datetime import datetime, timezone

from swap_common import (
    PATIENCE,
    Late,
    Problem,
    Processes,
    answer,
    last_lines,
    run,
    sha256,
    roll_back,
    wait,
)
from endpoint import Api, is_healthy

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

    def swap(self, digest, version):
        """Run what was sent. Returns whether it was another one."""
        sent = self.kept("sent")
        if self.is_there(sent, digest):
            os.unlink(sent)
            return False
        os.chmod(sent, 0o755)
        # The next one is sent under a name that no running program has: it could not be written (ETXTBSY).
        new = self.kept("new")
        os.replace(sent, new)
        if self.name not in SERVICES:
            self.check(new, digest)
        link(self.path, self.kept("previous"))
        if not os.path.exists(self.kept("original")):
            link(self.path, self.kept("original"))
        try:
            self.switch(new, digest, version)
        except Problem as problem:
            roll_back(problem, lambda: self.back("previous"), f"the previous {self.name} is back")
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
        # It may be in place and not run yet, if a swap was killed in between.
        is_other = program == kept or not self.runs(digest)
        if is_other:
            self.switch(program, digest, None)
        if which == "original" and os.path.exists(self.kept("previous")):
            os.unlink(self.kept("previous"))
        return is_other

    def switch(self, program, digest, version):
        """Put a program in place, restart its service, and wait until that runs it and is healthy."""
        # Health is asked of the API server: if that cannot be reached, fail before anything has changed.
        api = Api("/etc/kubernetes/kubelet.conf") if self.name == "kubelet" else None
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
            state = dict(line.split("=", 1) for line in show(unit, "SubState", "NRestarts"))
            if state["SubState"] in ("auto-restart", "failed") or state["NRestarts"] != "0":
                raise Problem(f"{self.name} has ended right after its start; its log:\n{log(unit, started)}")
            return bool(self.processes.of(digest)) and (self.node_is_healthy(api, started, version) if api else serves_kubelet())

        try:
            wait(self.timeout, is_done, f"{self.name} is not healthy")
        except Late as problem:
            raise Problem(f"{problem}; its log:\n{log(unit, started)}") from None

    def node_is_healthy(self, api, started, version):
        """Tell whether kubelet does its work: it has told the API server so since its start."""
        if not is_healthy("http://127.0.0.1:10248/healthz"):
            return False
        try:
            status = api.get(f"/api/v1/nodes/{self.node}")["status"]
        except Problem:
            return False
        ready = next(each for each in status["conditions"] if each["type"] == "Ready")
        told = datetime.strptime(ready["lastHeartbeatTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        is_new = version in (None, status["nodeInfo"]["kubeletVersion"])
        # The API server's times are whole seconds.
        return ready["status"] == "True" and is_new and told.timestamp() >= int(started)


def serves_kubelet():
    """Tell whether containerd's CRI plugin runs: containerd goes on without it."""
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


def show(unit, *what):
    """Properties of a unit, as NAME=VALUE."""
    return run("systemctl", "show", f"--property={','.join(what)}", unit).splitlines()


def log(unit, since):
    """The end of what a unit has said since a time."""
    return last_lines(run("journalctl", f"--unit={unit}", f"--since=@{since:.3f}", "--output=cat"))


def act(arguments):
    """Swap. Returns whether it was something else."""
    program = Program(arguments["component"], arguments["node"], arguments["timeout"])
    if arguments["state"] == "new":
        return program.swap(arguments["sha256"], arguments.get("version"))
    return program.back(arguments["state"])


def main(arguments):
    """Swap the program of a `component` on `node`, the node's name in the cluster.

    By `state`: a `new` one, which was sent as .COMPONENT.sent beside the program that is there, whose digest is `sha256`,
    and whose `version`, if it has one, the node has to report; the `previous` one; or the `original`, which came with the
    node. It may take `timeout` seconds to be healthy.
    """
    return answer(act, arguments)
