"""Have kubelet run another image in a static pod, at once, and roll back if that is not healthy."""

from __future__ import annotations

import copy
import functools
import glob
import json
import os
import signal
import time

from swap_common import (
    PROBES,
    Problem,
    Processes,
    answer,
    last_lines,
    run,
    succeeds,
    roll_back,
    wait,
)
from endpoint import Api, is_healthy

# Beside the manifests, in a directory that kubelet does not read.
KEPT = "/etc/kubernetes/kubeadm-systemd/swapped"

# Their leases have their names.
ELECTED = ("kube-controller-manager", "kube-scheduler")

# To lead without having been elected.
UNELECTED = "--leader-elect=false"

# Seconds that the old process may take to end. kube-apiserver would wait for its clients, which hold on to their
# watches, until kubelet kills it after 30.
PATIENCE = 2

# A container that has a log and no process after so many seconds has ended.
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
        self.first = manifest(self.path)
        self.uid = self.first["metadata"].get("uid") or self.uid_of_logs()
        self.processes = Processes(name, self.uid)
        self.api = Api()
        self.lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}"

    def kept(self, which):
        """Where a manifest is kept that was replaced."""
        return f"{KEPT}/{self.name}.{which}.yaml"

    def container(self, of):
        """Its container, in a manifest."""
        return next(each for each in of["spec"]["containers"] if each["name"] == self.name)

    @functools.cached_property
    def with_probes(self):
        """The manifest that is there or, where a debugger has taken the probes out of that, kubeadm's own."""
        return self.first if has_probes(self.container(self.first)) else manifest(self.kept("original"))

    def swap(self, image, sha256, debug):
        """Run another image. Returns whether it was another one."""
        running = self.container(self.first)
        if running["image"] == image and self.processes.of(sha256):
            return False
        if not self.uid:
            raise Problem(f"{self.name} has never run on this node")
        for which in ["previous"] if "uid" in self.first["metadata"] else ["previous", "original"]:
            write(self.kept(which), read(self.path))
        new = copy.deepcopy(self.with_probes)
        new["metadata"]["uid"] = self.uid
        container = self.container(new)
        container["image"] = image
        if debug:
            ease(container)
        try:
            # JSON is YAML, and what Python writes.
            self.switch(json.dumps(new, indent=2) + "\n", lambda is_new, digest: is_new and digest == sha256)
        except Problem as problem:
            # Where kubelet has not even ended the old one, that one does.
            back = functools.partial(self.back, "previous", lambda is_new, digest: is_new or digest != sha256)
            roll_back(problem, back, f"{self.name} is back at {running['image']}")
        return True

    def back(self, which, is_it=lambda is_new, _: is_new):
        """Run what was there before. Returns whether it was something else."""
        kept = self.kept(which)
        if not os.path.exists(kept) or "uid" not in manifest(self.path)["metadata"]:
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
        """Have kubelet run a manifest, and wait until the process that `is_it` is healthy and leads."""
        holder = None if UNELECTED in content else self.holder()
        old, logs = self.processes.ids(), set(self.logs())
        started, seen, released = time.time(), set(), False
        probe = probe_url(self.container(self.with_probes))
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
                # It does not give its lease back. The next leader looks twice a second.
                self.release(holder)
                released = True
            return bool(now) and is_healthy(probe) and (not holder or self.leads_instead_of(holder))

        try:
            wait(self.timeout, is_done, f"{self.name} is not healthy")
        except Problem as problem:
            if logs != set(self.logs()):
                raise
            raise Problem(f"{problem}\n{kubelet_says(self.name, started)}") from None
        # The API server shows the static pod as it was when it was made. kubelet makes it anew when it is gone: at
        # once, or within the ten seconds of its next look. It is not waited for.
        path = f"/api/v1/namespaces/kube-system/pods/{self.pod}"
        # What was swapped may be what answers this.
        is_gone = functools.partial(succeeds, self.api.delete, path, gracePeriodSeconds=0)
        wait(self.timeout, is_gone, "the API server does not answer")

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
        """The holder of the lease."""
        if self.name not in ELECTED:
            return None
        return self.api.get(self.lease)["spec"].get("holderIdentity", "")

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
        # Fails if another process was faster.
        succeeds(self.api.patch, self.lease, "json", patch)


def kill(pids):
    """End processes that may have ended."""
    for pid in pids:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


def manifest(path):
    """A manifest: kubeadm's as YAML, which Python does not read, or ours as JSON."""
    text = read(path)
    if text.startswith("{"):
        return json.loads(text)
    return json.loads(run("kubectl", "patch", "--local", f"--filename={path}", "--patch={}", "--output=json"))


def has_probes(container):
    """Tell whether kubelet asks a container whether it is healthy."""
    return any(probe in container for probe in PROBES)


def ease(container):
    """Change of a container what must be another way for its process to outlive a breakpoint."""
    is_election = [word.startswith("--leader-elect=") for word in container["command"]]
    if any(is_election):
        # A process that is stopped loses the lease, and then ends itself.
        others = [word for word, is_it in zip(container["command"], is_election) if not is_it]
        container["command"] = [*others, UNELECTED]
    for probe in PROBES:
        container.pop(probe, None)


def probe_url(container):
    """Where kubelet asks whether a container is healthy."""
    if not has_probes(container):
        raise Problem(f"the manifest of {container['name']} has no probe that would tell whether it is healthy")
    get = next(container[probe] for probe in PROBES if probe in container)["httpGet"]
    ports = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
    port = ports.get(get["port"], get["port"])
    return f"{get.get('scheme', 'HTTP').lower()}://{get.get('host') or '127.0.0.1'}:{port}{get.get('path', '/')}"


def kubelet_says(name, since):
    """What kubelet says of a container that it could not start."""
    journal = run("journalctl", "--unit=kubelet.service", f"--since=@{since:.3f}", "--output=cat")
    lines = last_lines("\n".join(line for line in journal.splitlines() if name in line and "rr=" in line))
    return f"kubelet's log:\n{lines}"


def read(path):
    """A file's text."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path, content):
    """Write a file at once, for root alone. kubelet passes over names that begin with a dot."""
    directory, name = os.path.split(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    unfinished = os.path.join(directory, f".{name}.new")
    with open(unfinished, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(content)
    os.replace(unfinished, path)


def act(arguments):
    """Swap. Returns whether it was something else."""
    pod = StaticPod(arguments["component"], arguments["node"], arguments["timeout"])
    if arguments["state"] == "new":
        return pod.swap(arguments["image"], arguments["sha256"], "debugger" in arguments)
    return pod.back(arguments["state"])


def main(arguments):
    """Swap the static pod of a `component` on `node`, the node's name in the cluster.

    By `state`: a `new` one, that is an `image` that the node has, whose program's digest is `sha256`; the `previous` one;
    or the `original`, which kubeadm has written. It may take `timeout` seconds to be healthy. With a `debugger` that will
    stop its process, it has no probes, leads without an election, and is not ended for being slow to answer.
    """
    return answer(act, arguments)
