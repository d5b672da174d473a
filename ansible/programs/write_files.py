"""What the action write_files runs on a node."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile


def text(content):
    """The text that Ansible was given: it makes None of an empty one, and before 2.19 the value of one that is JSON."""
    if content is None:
        return ""
    return content if isinstance(content, str) else json.dumps(content)


def is_current(path, content, mode):
    """Tell whether the file is there with this content and mode."""
    try:
        with open(path, "rb") as file:
            return file.read() == content and os.stat(path).st_mode & 0o7777 == mode
    except FileNotFoundError:
        return False


def write(path, content, mode):
    """Write a temporary file beside it and rename that: no reader sees half a file."""
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, mode)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def run(command):
    """Run a shell command, and return what went wrong, if anything did."""
    how = {"stdin": subprocess.DEVNULL, "capture_output": True, "encoding": "utf-8", "errors": "replace"}
    done = subprocess.run(command, shell=True, check=False, **how)
    if done.returncode == 0:
        return None
    said = f"`{command.strip()}` ended with {done.returncode}"
    return {"failed": True, "msg": said, "stdout": done.stdout, "stderr": done.stderr}


def main(arguments):
    """Write each of `files` (`path`, `content` and, in octal, `mode`) that is not as it should be, whole or not at all.

    `on_change` is a shell command that is run when one was not. When it fails, they are removed again, so that the next
    run tries again. With `check`, only tell which would be written.
    """
    written = []
    for file in arguments["files"]:
        path, content, mode = file["path"], text(file["content"]).encode(), int(file.get("mode", "0644"), 8)
        try:
            if is_current(path, content, mode):
                continue
            if not arguments["check"]:
                write(path, content, mode)
        except OSError as error:
            return {"failed": True, "msg": f"cannot write {path}: {error.strerror}"}
        written.append(path)
    on_change = arguments.get("on_change")
    problem = run(on_change) if written and on_change and not arguments["check"] else None
    if problem:
        for path in written:
            os.unlink(path)
    return problem or {"changed": bool(written), "written": written}
