"""Tell clusterctl what happens: one JSON object a line, in the file that KUBEADM_SYSTEMD_EVENTS names."""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: steps
type: notification
short_description: Task results as JSON Lines
description:
  - Appends one event a line to a file, for a program that shows the progress.
options:
  file:
    description: Path of the file. Without it, nothing is written.
    env:
      - name: KUBEADM_SYSTEMD_EVENTS
    type: path
"""

# Tasks that only compute on this host, or include others, are no steps.
QUIET = {
    "ansible.builtin.set_fact",
    "ansible.builtin.set_stats",
    "ansible.builtin.assert",
    "ansible.builtin.include_tasks",
    "ansible.builtin.validate_argument_spec",
}


def name(task):
    """A task's name without its role's."""
    return task.get_name().rpartition(" : ")[2]


class CallbackModule(CallbackBase):
    """Events: `start`; `begin` and then `step` or `skip` for each task and host; `note` for each message; `end` with the totals."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "steps"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        path = os.environ.get("KUBEADM_SYSTEMD_EVENTS")
        # Line-buffered: the reader follows.
        self.output = open(path, "a", buffering=1, encoding="utf-8") if path else None
        self.started = {}

    def emit(self, event, **fields):
        if self.output:
            print(json.dumps({"event": event, "time": round(time.time(), 3), **fields}), file=self.output)

    def v2_playbook_on_start(self, playbook):
        self.emit("start")

    def v2_runner_on_start(self, host, task):
        self.started[host.name, task._uuid] = time.monotonic()
        if task.action not in QUIET:
            self.emit("begin", host=host.name, task=name(task))

    def step(self, result, status):
        host, task = result._host.name, result._task
        seconds = time.monotonic() - self.started.pop((host, task._uuid), time.monotonic())
        if task.action == "ansible.builtin.debug":
            self.emit("note", message=result._result.get("msg"))
        elif task.action not in QUIET:
            message = None
            # Never the arguments, and nothing of a task with secrets (no_log): Ansible has taken its results out.
            if status in ("failed", "unreachable"):
                said = result._result.get("stderr") or result._result.get("stdout") or result._result.get("censored")
                message = f"{result._result.get('msg', '')}\n{said or ''}".strip()
            self.emit("step", host=host, task=name(task), status=status, seconds=round(seconds, 3), message=message)

    def v2_runner_on_ok(self, result):
        self.step(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.step(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self.step(result, "unreachable")

    def v2_runner_on_skipped(self, result):
        self.emit("skip", host=result._host.name)

    def v2_playbook_on_stats(self, stats):
        changed = sum(stats.summarize(host)["changed"] for host in stats.processed)
        self.emit("end", changed=changed, facts=stats.custom.get("_run", {}))
