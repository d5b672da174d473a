"""Write one JSON object a line to the file that STEPS_FILE names: what each task did on each host, and how long it took."""

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
      - name: STEPS_FILE
    type: path
"""

# What of a task's result is worth showing. Never the arguments: they may hold secrets.
SHOWN = ("msg", "stderr", "stdout", "rc")


class CallbackModule(CallbackBase):
    """Events: `start`, `result`, `stats`. `at` is in seconds since the playbook's start."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "steps"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        path = os.environ.get("STEPS_FILE")
        # Line-buffered: the reader follows.
        self.output = open(path, "a", buffering=1, encoding="utf-8") if path else None
        self.began = time.monotonic()
        self.started = {}

    def emit(self, event, **fields):
        if self.output:
            line = {"event": event, "at": round(time.monotonic() - self.began, 3), **fields}
            print(json.dumps(line, default=str), file=self.output)

    def v2_runner_on_start(self, host, task):
        self.started[host.name, task._uuid] = time.monotonic()
        self.emit("start", host=host.name, task=task.get_name().rpartition(" : ")[2], action=task.action)

    def result(self, result, status):
        host, task = result._host.name, result._task
        started = self.started.pop((host, task._uuid), time.monotonic())
        shown = {}
        if not task.no_log and not result._result.get("_ansible_no_log"):
            shown = {key: result._result[key] for key in SHOWN if key in result._result}
        self.emit(
            "result",
            host=host,
            task=task.get_name().rpartition(" : ")[2],
            action=task.action,
            tags=task.tags,
            status=status,
            seconds=round(time.monotonic() - started, 3),
            **shown,
        )

    def v2_runner_on_ok(self, result):
        self.result(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_skipped(self, result):
        self.result(result, "skipped")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.result(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self.result(result, "unreachable")

    def v2_playbook_on_stats(self, stats):
        changed = sum(stats.summarize(host)["changed"] for host in stats.processed)
        self.emit("stats", changed=changed, custom=stats.custom.get("_run", {}))
