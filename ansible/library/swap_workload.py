#!/usr/bin/python3
"""Have a DaemonSet or a Deployment of kubeadm's run another image, and take it back when that is not well."""

from __future__ import annotations

import functools
import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.component import PROBES, Problem, answer, kubectl, last_lines, take_back, wait

DOCUMENTATION = """
module: swap_workload
short_description: Run another image in a DaemonSet or a Deployment of kube-system
description:
  - Sets the image of the container, of all its pods at once, and waits until they are ready.
  - Otherwise sets the image that was there. The nodes must have the image.
options:
  component:
    description: The name of the object and of the container.
    type: str
    required: true
  kind:
    description: What it is.
    type: str
    choices: [daemonset, deployment]
    required: true
  state:
    description: V(new) runs O(image), V(original) what kubeadm has put there.
    type: str
    choices: [new, original]
    default: new
  image:
    description: The image's name and tag.
    type: str
  debug:
    description: Whether a debugger will stop its processes. Then it has no probes.
    type: bool
    default: false
  timeout:
    description: Seconds that it may take to be well.
    type: int
    default: 60
author: kubeadm-systemd
"""

EXAMPLES = """
- name: Run another kube-proxy
  swap_workload:
    component: kube-proxy
    kind: daemonset
    image: registry.k8s.io/kube-proxy:v1.37.2-dirty-0123456789ab
"""

RETURN = ""

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

    def get(self):
        """What the API server has of it."""
        return json.loads(self.kubectl("get", self.kind, self.name, "--output=json"))

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
            take_back(problem, back, f"{self.name} is back at {old['image']}")
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
        # Where a swap was cut off, what is there is not the usual.
        usual = annotation(before, USUAL) or {each: before["spec"].get(each) for each in (field, "minReadySeconds")}
        template = {"spec": {"containers": [{"name": self.name, **fields}]}}
        at_once = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%", "maxSurge": 0}}
        annotations = {ORIGINAL: json.dumps(original) if original else None, USUAL: json.dumps(usual)}
        # A pod without a readiness probe is ready as soon as it runs, and if it ends in the next moment.
        spec = {field: at_once, "template": template, "minReadySeconds": 2}
        self.patch("strategic", {"metadata": {"annotations": annotations}, "spec": spec})
        try:
            wait(self.timeout, lambda: self.is_done(fields["image"]), f"{self.name} is not ready")
        finally:
            self.patch("merge", {"metadata": {"annotations": {USUAL: None}}, "spec": usual})

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
        pods = json.loads(self.kubectl("get", "pods", f"--selector={labels}", "--output=json"))["items"]
        # Those that are on their way out have ended because they were told to.
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def last_lines(self, pod, is_restarted):
        """The end of what a pod's container has said, before it was started once more if it was."""
        words = ("logs", pod, f"--container={self.name}", "--tail=20")
        if is_restarted:
            try:
                return last_lines(self.kubectl(*words, "--previous"))
            except Problem:
                # Removed already.
                pass
        return last_lines(self.kubectl(*words))

    def patch(self, how, patch):
        """Change it."""
        self.kubectl("patch", self.kind, self.name, f"--type={how}", f"--patch={json.dumps(patch)}")

    def kubectl(self, *words):
        """Ask the API server, in the namespace of what kubeadm makes."""
        return kubectl("--namespace=kube-system", *words)


def annotation(of, name):
    """What is put down in an annotation."""
    return json.loads(of["metadata"].get("annotations", {}).get(name, "null"))


def act(params):
    """Swap. Returns whether it was something else."""
    workload = Workload(params["component"], params["kind"], params["timeout"])
    return workload.swap(params["image"], params["debug"]) if params["state"] == "new" else workload.back()


def main():
    """Take what Ansible passes."""
    argument_spec = {
        "component": {"type": "str", "required": True},
        "kind": {"type": "str", "choices": ["daemonset", "deployment"], "required": True},
        "state": {"type": "str", "choices": ["new", "original"], "default": "new"},
        "image": {"type": "str"},
        "debug": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 60},
    }
    module = AnsibleModule(argument_spec=argument_spec, required_if=[("state", "new", ("image",))])
    answer(module, act)


if __name__ == "__main__":
    main()
