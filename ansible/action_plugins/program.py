"""Run one of programs/ on a node, in one round trip.

What a module of Ansible's does, without its frame (ansible.module_utils.basic, 55 files): to gather that takes a third of
a second of a processor for each node, and to compile it there as long again. Nodes are on the same processor.
"""

from __future__ import annotations

import io
import json
import pathlib
import shlex
import zipfile

from ansible import constants
from ansible.plugins.action import ActionBase

PROGRAMS = pathlib.Path(__file__).parents[1] / "programs"

# What the node's Python is told: it takes an archive's path for a program (zipapp), which has to be a file's.
RUN = """\
import os, runpy, sys
file = os.memfd_create("program")
with open(file, "wb", closefd=False) as archive:
    archive.write(sys.stdin.buffer.read())
runpy.run_path(f"/proc/self/fd/{file}")
"""


class ActionModule(ActionBase):
    """`program: {name: NAME, arguments: {...}}`."""

    _VALID_ARGS = frozenset(("name", "arguments"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        if self._task.check_mode:
            return {**result, "skipped": True}
        python = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
        archive = archived(self._task.args["name"], self._task.args["arguments"])
        done = self._low_level_execute_command(f"{python} -c {shlex.quote(RUN)}", in_data=archive)
        if done["rc"] != 0:
            return {**result, **done, "failed": True, "msg": f"non-zero return code {done['rc']}"}
        return {**result, **json.loads(done["stdout"].splitlines()[-1])}


def archived(name, arguments):
    """A program and all that it may import, with its arguments: on a command line, all users would see them."""
    main = f"import json, {name}\nprint(json.dumps({name}.main(json.loads({json.dumps(arguments)!r}))))\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("__main__.py", main)
        for file in PROGRAMS.glob("*.py"):
            files.writestr(file.name, file.read_bytes())
    return archive.getvalue()
