"""Do what clusterctl asks, one request after another, for as long as its SSH connection lasts.

A request is a line of JSON on standard input: {"do": NAME, ...}. Each is answered by a line of JSON on standard output.
Python and its modules are loaded while clusterctl still builds what it is about to send.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import swap_program
import swap_static_pod
import swap_workload

PIECE = 1 << 20

SWAPS = {"swap_program": swap_program, "swap_static_pod": swap_static_pod, "swap_workload": swap_workload}


def shell(request):
    """Run the shell command `command`, with the `length` bytes that follow the request as its standard input."""
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(request["command"], shell=True, **how) as process:
        feed(process.stdin, request["length"])
        output = process.stdout.read().decode(errors="replace")
    return {"status": process.returncode, "output": output}


def feed(to, length):
    """Pass bytes on. A command that has ended already does not take them, and the next request comes after them."""
    is_open = True
    while length:
        piece = sys.stdin.buffer.read1(min(length, PIECE))
        if not piece:
            # clusterctl has gone: half an image or program is not to be used.
            sys.exit("the connection has ended in the middle of a file")
        length -= len(piece)
        try:
            if is_open:
                to.write(piece)
        except BrokenPipeError:
            is_open = False
    try:
        to.close()
    except BrokenPipeError:
        pass


def answers():
    """What is told at first, then the answer to each request."""
    # To a node that has no zstd, programs are sent as they are.
    yield {"zstd": shutil.which("zstd") is not None}
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        what = request["do"]
        yield SWAPS[what].main(request["arguments"]) if what in SWAPS else shell(request)


def main():
    """Answer until standard input ends."""
    for answer in answers():
        print(json.dumps(answer), flush=True)
