"""Give a command on a node the content of a file of this host, in one round trip."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """`feed: {src: PATH, command: COMMAND}`."""

    _VALID_ARGS = frozenset(("src", "command"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        with open(self._task.args["src"], "rb") as file:
            done = self._low_level_execute_command(self._task.args["command"], in_data=file.read())
        result.update(done, changed=False)
        if done["rc"] != 0:
            result.update(failed=True, msg=f"non-zero return code {done['rc']}")
        return result
