#!/usr/bin/python3
"""Have kubelet run another image in a static pod, at once, and take it back when that is not well."""

from __future__ import annotations

import functools
import glob
import json
import os
import signal
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.component import (
    PROBES,
    Problem,
    Processes,
    answer,
    is_well,
    kubectl,
    last_lines,
    run,
    succeeds,
    take_back,
    wait,
)

DOCUMENTATION = """
module: swap_static_pod
short_description: Run another image in a static pod
description:
  - Writes kubeadm's manifest with another image, and waits until the pod's container runs that very program, is well
    and, if it is one of those that elect a leader, leads.
  - Otherwise writes the manifest back that was there.
options:
  component:
    description: The pod's name, without the node's; its container and its program have the same.
    type: str
    required: true
  node:
    description: The node's name in the cluster.
    type: str
    required: true
  state:
    description: V(new) runs O(image), V(previous) what was there before that, V(original) what kubeadm has written.
    type: str
    choices: [new, previous, original]
    default: new
  image:
    description: The image's name and tag. The node has it.
    type: str
  sha256:
    description: SHA-256 of its program.
    type: str
  debug:
    description: Whether a debugger will stop its process. Then it has no probes, leads without an election, and is not
      ended for being slow to answer.
    type: bool
    default: false
  timeout:
    description: Seconds that it may take to be well.
    type: int
    default: 60
author: kubeadm-systemd
"""

EXAMPLES = """
- name: Run another scheduler
  swap_static_pod:
    component: kube-scheduler
    node: node1
    image: registry.k8s.io/kube-scheduler:v1.37.2-dirty-0123456789ab
    sha256: 0123456789abcdef
"""

RETURN = ""

# Beside the manifests, in a directory that kubelet does not read.
KEPT = "/etc/kubernetes/kubeadm-systemd/swapped"

# Their leases have their names.
ELECTED = ("kube-controller-manager", "kube-scheduler")

# To lead without having been elected.
UNELECTED = "--leader-elect=false"

# Seconds that the old process may take to end. kube-apiserver would wait for its clients, which hold on to their
# watches, until kubelet kills it after 30.
PATIENCE = 2

# A container that has a log and no process after so many seconds has come to its end.
STILLBORN = 2


class StaticPod:
    """A static pod of kubeadm's."""

    def __init__(self, name, node, timeout):
        self.name = name
        self.pod = f"{name}-{node}"
        self.timeout = timeout
        self.path = f"/etc/kubernetes/manifests/{name}.yaml"
        if not os.path.exists(self.path):
            raise Problem(f"{self.path} does not exist: {name} is no static pod of this node")
        # kubeadm's manifests have no uid. Those that we write have the one that kubelet made of kubeadm's: to kubelet
        # it is then the same pod, of which one container has changed. Another uid would be another pod, which has to
        # wait until the old one is torn down, for ten seconds and more.
        self.first = self.manifest()
        self.uid = self.first["metadata"].get("uid") or self.uid_of_logs()
        self.processes = Processes(name, self.uid)

    def kept(self, which):
        """Where a manifest is kept that was replaced."""
        return f"{KEPT}/{self.name}.{which}.yaml"

    def manifest(self):
        """The manifest that is there."""
        return json.loads(patched(self.path, {}, "json"))

    def container(self, manifest):
        """Its container."""
        return next(each for each in manifest["spec"]["containers"] if each["name"] == self.name)

    def swap(self, image, sha256, debug):
        """Run another image. Returns whether it was another one."""
        manifest = self.first
        container = self.container(manifest)
        if container["image"] == image and self.processes.of(sha256):
            return False
        if not self.uid:
            raise Problem(f"{self.name} has never run on this node")
        for which in ["previous"] if "uid" in manifest["metadata"] else ["previous", "original"]:
            write(self.kept(which), read(self.path))
        new = {"name": self.name, "image": image, **(eased(container) if debug else {})}
        patch = {"metadata": {"uid": self.uid}, "spec": {"containers": [new]}}
        # One for a debugger lacks what another one needs.
        base = self.path if has_probes(container) else self.kept("original")
        try:
            self.switch(patched(base, patch, "yaml"), lambda is_new, digest: is_new and digest == sha256)
        except Problem as problem:
            # Where kubelet has not even ended the old one, that one does.
            back = functools.partial(self.back, "previous", lambda is_new, digest: is_new or digest != sha256)
            take_back(problem, back, f"{self.name} is back at {container['image']}")
        return True

    def back(self, which, is_it=lambda is_new, _: is_new):
        """Run what was there before. Returns whether it was something else."""
        kept = self.kept(which)
        if not os.path.exists(kept) or "uid" not in self.manifest()["metadata"]:
            # Never swapped, or kubeadm has written its own since (kubeadm upgrade).
            return False
        self.switch(read(kept), is_it)
        if which == "original":
            for each in glob.glob(self.kept("*")):
                os.unlink(each)
        else:
            os.unlink(kept)
        return True

    def switch(self, content, is_it):
        """Have kubelet run a manifest, and wait until the process that `is_it` is well and leads."""
        holder = None if UNELECTED in content else self.holder()
        old, logs = self.processes.ids(), set(self.logs())
        started, seen, released = time.time(), set(), False
        # What is there may have none.
        probe = probe_url(self.container(json.loads(patched(self.kept("original"), {}, "json"))))
        write(self.path, content)

        def is_done():
            nonlocal released
            processes = self.processes.all()
            # The same program may run again, under another image's name.
            now = {pid for pid, digest in processes.items() if is_it(pid not in old, digest)}
            if (seen and not now & seen) or (not now and self.is_stillborn(logs)):
                raise Problem(f"{self.name} has ended right after its start; its log:\n{self.last_lines(logs)}")
            seen.update(now)
            left = old & set(processes)
            if left and not now and time.time() - started > PATIENCE:
                kill(left)
            if holder and not released and not left:
                # It does not give its lease back. Who waits for it looks twice a second.
                self.release(holder)
                released = True
            return bool(now) and is_well(probe) and (not holder or self.leads_instead_of(holder))

        try:
            wait(self.timeout, is_done, f"{self.name} is not well")
        except Problem as problem:
            if logs != set(self.logs()):
                raise
            raise Problem(f"{problem}\n{kubelet_says(self.name, started)}") from None
        # The API server shows the static pod as it was when it was made. kubelet makes it anew when it is gone: at
        # once, or within the ten seconds of its next look. It is not waited for.
        words = ("--namespace=kube-system", "delete", "pod", self.pod, "--ignore-not-found", "--grace-period=0", "--force")
        # What was swapped may be what answers this.
        wait(self.timeout, lambda: succeeds(kubectl, *words), "the API server does not answer")

    def uid_of_logs(self):
        """The uid that kubelet has made: it is a part of the path of the log that was written last, if there is one."""
        logs = self.logs()
        return max(logs, key=os.path.getmtime).split("/")[4].rpartition("_")[2] if logs else None

    def logs(self):
        """The logs of its containers."""
        return glob.glob(f"/var/log/pods/kube-system_{self.pod}_*/{self.name}/*.log")

    def is_stillborn(self, before):
        """Tell whether a new container has a log for a while already."""
        new = set(self.logs()) - before
        return any(time.time() - os.path.getmtime(log) > STILLBORN for log in new)

    def last_lines(self, before):
        """The end of the new containers' logs, without what CRI puts before each line: time, stream and a letter."""
        new = sorted(set(self.logs()) - before, key=os.path.getmtime)
        lines = [line.split(" ", 3)[-1] for log in new for line in read(log).splitlines()]
        return last_lines("\n".join(lines))

    def holder(self):
        """Who leads."""
        if self.name not in ELECTED:
            return None
        return kubectl("--namespace=kube-system", "get", "lease", self.name, "--output=jsonpath={.spec.holderIdentity}")

    def leads_instead_of(self, holder):
        """Tell whether another one leads than before."""
        try:
            return self.holder() not in ("", holder)
        except Problem:
            return False

    def release(self, holder):
        """Let another one lead, unless one does already."""
        field = {"path": "/spec/holderIdentity"}
        patch = [{"op": "test", "value": holder, **field}, {"op": "replace", "value": "", **field}]
        # Fails when somebody was faster.
        words = ("patch", "lease", self.name, "--type=json", f"--patch={json.dumps(patch)}")
        succeeds(kubectl, "--namespace=kube-system", *words)


def kill(pids):
    """End processes that may have ended."""
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


def patched(path, patch, output):
    """A manifest with a patch."""
    words = ("--local", f"--filename={path}", f"--patch={json.dumps(patch)}", f"--output={output}")
    return run("kubectl", "patch", *words)


def has_probes(container):
    """Tell whether kubelet asks a container whether it is well."""
    return any(probe in container for probe in PROBES)


def eased(container):
    """What of a container must be another for its process to outlive a breakpoint."""
    command = container["command"]
    election = [word for word in command if word.startswith("--leader-elect=")]
    if election:
        # Who does not answer loses the election, and ends itself.
        command = [word for word in command if word not in election] + [UNELECTED]
    return {"command": command, **dict.fromkeys(PROBES)}


def probe_url(container):
    """Where kubelet asks whether a container is well."""
    if not has_probes(container):
        raise Problem(f"the manifest of {container['name']} has no probe that would tell whether it is well")
    get = next(container[probe] for probe in PROBES if probe in container)["httpGet"]
    ports = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
    port = ports.get(get["port"], get["port"])
    return f"{get.get('scheme', 'HTTP').lower()}://{get.get('host') or '127.0.0.1'}:{port}{get.get('path', '/')}"


def kubelet_says(name, since):
    """What kubelet says of a container that it could not start."""
    journal = run("journalctl", "--unit=kubelet.service", f"--since=@{since:.0f}", "--output=cat")
    lines = last_lines("\n".join(line for line in journal.splitlines() if name in line and "rr=" in line))
    return f"kubelet's log:\n{lines}"


def read(path):
    """A file's text."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path, content):
    """Write a file at once. kubelet passes over names that begin with a dot."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    os.rename(temporary, path)


def act(params):
    """Swap. Returns whether it was something else."""
    pod = StaticPod(params["component"], params["node"], params["timeout"])
    if params["state"] == "new":
        return pod.swap(params["image"], params["sha256"], params["debug"])
    return pod.back(params["state"])


def main():
    """Take what Ansible passes."""
    argument_spec = {
        "component": {"type": "str", "required": True},
        "node": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["new", "previous", "original"], "default": "new"},
        "image": {"type": "str"},
        "sha256": {"type": "str"},
        "debug": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 60},
    }
    module = AnsibleModule(argument_spec=argument_spec, required_if=[("state", "new", ("image", "sha256"))])
    answer(module, act)


if __name__ == "__main__":
    main()
