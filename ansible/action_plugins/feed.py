"""Give a command on a node the content of a file of this host, in one round trip.

`upgrade` sends programs and images this way. ansible.builtin.copy makes four round trips, reads the file three times, and
leaves a copy on the node, where an archive is only imported.
"""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """`feed: {src: PATH, command: COMMAND}`."""

    _VALID_ARGS = frozenset(("src", "command"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        if self._task.check_mode:
            return {**result, "changed": True}
        with open(self._task.args["src"], "rb") as file:
            done = self._low_level_execute_command(self._task.args["command"], in_data=file.read())
        result.update(done, changed=True)
        if done["rc"] != 0:
            result.update(failed=True, msg=f"non-zero return code {done['rc']}")
        return result
