"""What runs of a component on a node, whether it is well, and why not."""

from __future__ import annotations

import glob
import hashlib
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request

# Between two looks.
PAUSE = 0.05

# By which kubelet ends a container that does not answer, or keeps its Services' requests from it.
PROBES = ("readinessProbe", "livenessProbe", "startupProbe")

# Lines of a component's log that are told when it fails.
LAST_LINES = 12


class Problem(Exception):
    """What went wrong."""


class Late(Problem):
    """It has taken too long."""


def answer(module, act):
    """Do what a module does, and tell whether that has changed something, or what went wrong: then it is as it was."""
    try:
        module.exit_json(changed=act(module.params))
    except Problem as problem:
        module.fail_json(msg=str(problem))


def run(*words, stdin=None):
    """Run a command that must succeed, and return what it prints."""
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"{' '.join(words[:6])} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def kubectl(*words, stdin=None):
    """Ask the API server as the administrator."""
    return run("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", *words, stdin=stdin)


def sha256(path):
    """Digest of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def succeeds(command, *words):
    """Tell whether a command does what it should."""
    try:
        command(*words)
    except Problem:
        return False
    return True


class Processes:
    """The processes of a component, by their program's content: a new build may have the version of the old one."""

    def __init__(self, name):
        self.name = name
        self.known = {}

    def ids(self):
        """The ids of those that run."""
        ids = set()
        for link in glob.glob("/proc/[0-9]*/exe"):
            try:
                # A replaced file is shown as "kubelet (deleted)".
                if os.path.basename(os.readlink(link)).removesuffix(" (deleted)") == self.name:
                    ids.add(link.split("/")[2])
            except OSError:
                # It has ended.
                continue
        return ids

    def all(self):
        """Digests of those that run, by their ids."""
        digests = {}
        for pid in self.ids():
            try:
                # An id is taken again sooner or later; the inode of its directory is not.
                key = (pid, os.stat(f"/proc/{pid}").st_ino)
                if key not in self.known:
                    self.known[key] = sha256(f"/proc/{pid}/exe")
                digests[pid] = self.known[key]
            except OSError:
                continue
        return digests

    def of(self, digest):
        """The ids of those that run this program."""
        return {pid for pid, other in self.all().items() if other == digest}


def is_well(url):
    """Tell whether a health endpoint says so. As kubelet does: whoever signed its certificate."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=2, context=trusting) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def wait(seconds, is_done, what):
    """Wait until `is_done` says so; it may raise Problem."""
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            raise Late(f"{what} after {seconds} s")
        time.sleep(PAUSE)


def last_lines(text):
    """The end of a log, each line below the message; of a crash of Go's, the beginning."""
    lines = [line for line in text.splitlines() if line.strip()]
    crashes = [number for number, line in enumerate(lines) if line.startswith(("panic: ", "fatal error: "))]
    lines = lines[crashes[-1] :] if crashes else lines[-LAST_LINES:]
    return "\n".join(f"  {line}" for line in lines[:LAST_LINES])
