"""What the swap programs share: commands, processes by their content, waits, and rolling back."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import subprocess
import time

# Between two looks.
PAUSE = 0.05

# By which kubelet ends a container that does not answer, or keeps its Services' requests from it.
PROBES = ("readinessProbe", "livenessProbe", "startupProbe")

# Seconds that a command may take.
PATIENCE = 60

# What the programs keep on a node as long as it runs.
RUN = "/run/kubeadm-systemd"

# Lines of a component's log that are told when it fails.
LAST_LINES = 12


class Problem(Exception):
    """What went wrong."""


class Late(Problem):
    """It has taken too long."""


def answer(act, arguments):
    """Swap, and tell whether that has changed something, or what went wrong: then it was rolled back."""
    try:
        # Another swap may take this long, and as long again to roll back.
        with alone(2 * arguments["timeout"] + PATIENCE):
            return {"changed": act(arguments)}
    except Problem as problem:
        return {"failed": True, "msg": str(problem)}


@contextlib.contextmanager
def alone(seconds):
    """Allow no other swap on this node. A swap whose connection is cut goes on until it has succeeded or rolled back."""
    os.makedirs(RUN, exist_ok=True)
    with open(f"{RUN}/swap.lock", "w", encoding="utf-8") as file:

        def is_taken():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait(seconds, is_taken, "an earlier swap on this node has not ended")
        yield


def roll_back(problem, back, told):
    """Roll back because of a problem, and raise that, with how the rollback went."""
    try:
        back()
    except Problem as second:
        raise Problem(f"{problem}\nand it could not be rolled back: {second}") from None
    raise Problem(f"{problem}\n{told}") from None


def run(*words, patience=PATIENCE):
    """Run a command that must succeed, and return what it prints."""
    # Not our own standard input, which is what we are asked by.
    how = {"stdin": subprocess.DEVNULL, "capture_output": True, "encoding": "utf-8", "errors": "replace", "check": False}
    shown = " ".join(words[:6])
    try:
        done = subprocess.run(words, timeout=patience, **how)
    except OSError as error:
        raise Problem(f"cannot run {shown}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Problem(f"{shown} has not ended after {patience} s") from None
    if done.returncode != 0:
        raise Problem(f"{shown} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def sha256(path):
    """Digest of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def succeeds(command, *words, **more):
    """Tell whether a command does what it should."""
    try:
        command(*words, **more)
    except Problem:
        return False
    return True


class Processes:
    """The processes of a component, by their program's content: a new build may have the version of the old one."""

    def __init__(self, name, uid=None):
        self.name = name
        # Of the pod, if it is one: others may run the same program.
        self.uid = uid
        self.known = {}

    def ids(self):
        """The ids of those that run."""
        ids = set()
        for link in glob.glob("/proc/[0-9]*/exe"):
            try:
                # A replaced file is shown as "kubelet (deleted)".
                name = os.path.basename(os.readlink(link)).removesuffix(" (deleted)")
                if name == self.name and self.is_in_pod(os.path.dirname(link)):
                    ids.add(link.split("/")[2])
            except OSError:
                # It has ended.
                continue
        return ids

    def is_in_pod(self, process):
        """Tell whether a process is one of the pod's: kubelet makes a cgroup for each pod, by its uid."""
        if not self.uid:
            return True
        with open(f"{process}/cgroup", encoding="utf-8") as file:
            return f"pod{self.uid}" in file.read()

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
