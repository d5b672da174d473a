"""Print the logs of a component's containers on this node from the files that kubelet has containerd write.

Not through the API server, which may be what is broken. A container's log is
/var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log; kubelet renames a long one to RESTARTS.log.TIME, and compresses
it later. The one argument is a JSON object: dir (/var/log/pods), component, follow, previous, timestamps, names (of
pods before the lines), tail (lines) and since (seconds). Ends with 3 where there is no log.
"""

import collections
import datetime
import glob
import gzip
import json
import os
import select
import sys

# Milliseconds between two looks for more.
PAUSE = 200
NO_LOG = 3


class Reader:
    """Reads the logs of one pod's containers, of which each replaces the one before."""

    def __init__(self, asked, pod):
        self.asked = asked
        self.prefix = f"[{pod}] ".encode() if asked["names"] else b""
        self.path = None
        self.file = None
        self.line = b""
        self.parts = collections.defaultdict(bytes)

    def read(self, paths):
        """Lines that are new. `paths` are the containers' logs, the oldest first."""
        if self.path is None:
            yield from self.first(paths)
        while True:
            # Looked for before the rest is read: what it wrote up to then is not missed.
            successor = self.successor(paths)
            yield from self.lines()
            if successor is None:
                return
            self.open(successor)

    def first(self, paths):
        """Lines of the current container's log, or of the one before it, as many as are asked for."""
        path = paths[-2 if self.asked["previous"] else -1]
        tail = collections.deque(maxlen=self.asked["tail"])
        for rotated in sorted(glob.glob(f"{glob.escape(path)}.*")):
            with (gzip.open if rotated.endswith(".gz") else open)(rotated, "rb") as self.file:
                tail.extend(self.lines())
        self.open(path)
        tail.extend(self.lines())
        return tail

    def successor(self, paths):
        """The log that follows this one: of the same path, if it was rotated, or the next container's."""
        try:
            if os.stat(self.path).st_ino != os.fstat(self.file.fileno()).st_ino:
                return self.path
        except FileNotFoundError:
            # Not made anew yet, or removed with its pod.
            pass
        later = paths[paths.index(self.path) + 1 :] if self.path in paths else paths
        return next(iter(later), None) if self.asked["follow"] else None

    def open(self, path):
        """Go on with this file."""
        self.path = path
        if self.file:
            self.file.close()
        self.file = open(path, "rb")
        self.line = b""

    def lines(self):
        """Whole lines up to the file's end, as they are to be printed."""
        for line in self.file:
            self.line += line
            if self.line.endswith(b"\n"):
                line, self.line = self.line, b""
                shown = self.shown(line)
                if shown is not None:
                    yield self.prefix + shown

    def shown(self, line):
        """A line without what the CRI puts before it: TIME, STREAM and TAG, of which P means that more follows."""
        try:
            time, stream, tag, text = line.split(b" ", 3)
        except ValueError:
            return line
        text = self.parts.pop(stream, b"") + text
        if tag.startswith(b"P"):
            self.parts[stream] = text.removesuffix(b"\n")
            return None
        since = self.asked["since"]
        if since is not None and datetime.datetime.fromisoformat(time.decode()).timestamp() < since:
            return None
        return time + b" " + text if self.asked["timestamps"] else text


def modified(path):
    """When a log was last written to: that is before its successor was made."""
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return 0


def logs(asked):
    """The containers' logs of each pod, the oldest first."""
    pods = collections.defaultdict(list)
    for path in glob.glob("{dir}/kube-system_{component}-*/{component}/*.log".format(**asked)):
        pods[path.removeprefix(asked["dir"]).split("_")[1]].append(path)
    pods = {pod: sorted(paths, key=modified) for pod, paths in pods.items()}
    return {pod: paths for pod, paths in pods.items() if len(paths) > asked["previous"]}


def main():
    """Print what is there, and then what comes."""
    asked = json.loads(sys.argv[1])
    if asked["since"] is not None:
        asked["since"] = datetime.datetime.now().timestamp() - asked["since"]
    # Asked for no events, poll still reports that the reader is gone.
    reader_is_gone = select.poll()
    reader_is_gone.register(sys.stdout, 0)
    readers = {}
    while True:
        for pod, paths in logs(asked).items():
            reader = readers.setdefault(pod, Reader(asked, pod))
            sys.stdout.buffer.writelines(reader.read(paths))
        sys.stdout.buffer.flush()
        if not asked["follow"]:
            sys.exit(0 if readers else NO_LOG)
        if reader_is_gone.poll(PAUSE):
            return


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        # Python would complain once more when it flushes at its end.
        os._exit(0)
