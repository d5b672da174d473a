"""Have a DaemonSet or a Deployment of kubeadm's run another image, and roll back if that is not healthy."""

from __future__ import annotations

import functools
import json

from swap_common import PROBES, Problem, answer, last_lines, roll_back, wait
from endpoint import Api

# Where the API server has them (kubernetes.io/docs/reference/using-api/api-concepts/).
PODS = "/api/v1/namespaces/kube-system/pods"

# What is replaced of a container, and where that is put down which kubeadm has put there.
FIELDS = ("image", *PROBES)
ORIGINAL = "kubeadm-systemd/original"

# How it replaces pods when it is not swapped; put down as long as it is another way.
USUAL = "kubeadm-systemd/usual"

# How each kind replaces all pods at once, and how it counts those that are ready.
STRATEGY = {"daemonset": "updateStrategy", "deployment": "strategy"}
COUNTS = {
    "daemonset": ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"),
    "deployment": ("replicas", "updatedReplicas", "availableReplicas"),
}


class Workload:
    """A workload of kubeadm's."""

    def __init__(self, name, kind, timeout):
        self.name = name
        self.kind = kind
        self.timeout = timeout
        self.api = Api()
        self.path = f"/apis/apps/v1/namespaces/kube-system/{kind}s/{name}"

    def get(self):
        """What the API server has of it."""
        return self.api.get(self.path)

    def swap(self, image, debug):
        """Run another image. Returns whether it was another one."""
        before = self.get()
        old = self.fields(before)
        if old["image"] == image:
            return False
        original = self.original(before) or old
        new = {**original, **(dict.fromkeys(PROBES) if debug else {}), "image": image}
        try:
            self.switch(before, new, original)
        except Problem as problem:
            back = functools.partial(self.switch, before, old, None if original == old else original)
            roll_back(problem, back, f"{self.name} is back at {old['image']}")
        return True

    def back(self):
        """Run what kubeadm has put there. Returns whether it was something else."""
        now = self.get()
        original = self.original(now)
        if not original:
            return False
        self.switch(now, original, None)
        return True

    def original(self, of):
        """What kubeadm has put there, if it was replaced."""
        return annotation(of, ORIGINAL)

    def fields(self, of):
        """What is there of its container."""
        containers = of["spec"]["template"]["spec"]["containers"]
        container = next(each for each in containers if each["name"] == self.name)
        return {field: container.get(field) for field in FIELDS}

    def switch(self, before, fields, original):
        """Set the image and the probes of all pods at once, and wait until they are ready."""
        field = STRATEGY[self.kind]
        # If a swap was killed, the present strategy is not the usual one.
        usual = annotation(before, USUAL) or {each: before["spec"].get(each) for each in (field, "minReadySeconds")}
        template = {"spec": {"containers": [{"name": self.name, **fields}]}}
        at_once = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%", "maxSurge": 0}}
        annotations = {ORIGINAL: json.dumps(original) if original else None, USUAL: json.dumps(usual)}
        # A pod without a readiness probe is ready as soon as it runs, and if it ends in the next moment.
        spec = {field: at_once, "template": template, "minReadySeconds": 2}
        patch = {"metadata": {"annotations": annotations}, "spec": spec}
        self.api.patch(self.path, "strategic-merge", patch)
        try:
            wait(self.timeout, lambda: self.is_done(fields["image"]), f"{self.name} is not ready")
        finally:
            self.api.patch(self.path, "merge", {"metadata": {"annotations": {USUAL: None}}, "spec": usual})

    def is_done(self, image):
        """Tell whether all pods are new and ready."""
        now = self.get()
        status = now.get("status", {})
        for pod in self.pods(now):
            for container in pod["status"].get("containerStatuses", []):
                of_it = container["name"] == self.name and pod["spec"]["containers"][0]["image"] == image
                if of_it and (container["restartCount"] > 0 or "terminated" in container["state"]):
                    name = pod["metadata"]["name"]
                    said = self.last_lines(name, container["restartCount"] > 0)
                    raise Problem(f"{name} has ended right after its start; its log:\n{said}")
        wanted, updated, available = (status.get(count, 0) for count in COUNTS[self.kind])
        is_observed = status.get("observedGeneration") == now["metadata"]["generation"]
        return is_observed and self.fields(now)["image"] == image and wanted == updated == available > 0

    def pods(self, of):
        """Its pods."""
        labels = ",".join(f"{name}={value}" for name, value in of["spec"]["selector"]["matchLabels"].items())
        pods = self.api.get(PODS, labelSelector=labels)["items"]
        # Those that are on their way out have ended because they were told to.
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def last_lines(self, pod, is_restarted):
        """The end of what a pod's container has said, before it was started once more if it was."""
        logs = functools.partial(self.api.ask, "GET", f"{PODS}/{pod}/log", container=self.name, tailLines=20)
        if is_restarted:
            try:
                return last_lines(logs(previous="true"))
            except Problem:
                # Removed already.
                pass
        return last_lines(logs())


def annotation(of, name):
    """What is put down in an annotation."""
    return json.loads(of["metadata"].get("annotations", {}).get(name, "null"))


def act(arguments):
    """Swap. Returns whether it was something else."""
    workload = Workload(arguments["component"], arguments["object"], arguments["timeout"])
    if arguments["state"] == "new":
        return workload.swap(arguments["image"], "debugger" in arguments)
    return workload.back()


def main(arguments):
    """Swap a `component` in all pods of its `object`, a `daemonset` or a `deployment`.

    By `state`: a `new` one, that is an `image` that the nodes have; or the `original`, which kubeadm has put there. It may
    take `timeout` seconds to be healthy. With a `debugger` that will stop its process, it has no probes.
    """
    return answer(act, arguments)
