"""A nursery of writer processes: it imports the log once and forks a writer per request, in two milliseconds.

    python writers.py SOCKET_FD

Each request is one datagram, JSON, with the descriptor of the pipe on which the writer shall report. A
writer says nothing else, so the test at the other end of the pipe may kill it at any moment. It ends by
itself when that end is closed.
"""

import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path

from p2pcli.log.entry import Ambiguous, Batch, Broken
from p2pcli.log.flock import TwoDoors
from p2pcli.log.sqlite import SqliteLog

REPORT = struct.Struct(">QQ")  # batch number, sequence
AMBIGUOUS = 2**64 - 1  # in place of the sequence


def append(
    report: int, folder: str, producer: str, epoch: int, body_bytes: int, durable: bool = True
) -> None:
    """Append for ever, and report every sequence once it is acknowledged.

    A failed commit is reported, and then repeated as a node repeats it: on a log opened anew.
    """
    number = 1
    while True:
        try:
            with SqliteLog(Path(folder), durable=durable, timeout=20) as log:
                while True:
                    body = b"%d " % number * (body_bytes // 4)
                    sequence = log.append(Batch(producer, epoch, number, body), timeout=20)
                    os.write(report, REPORT.pack(number, sequence))
                    number += 1
        except (Ambiguous, Broken):
            os.write(report, REPORT.pack(number, AMBIGUOUS))


def hold(report: int, folder: str) -> None:
    """Stay behind the two doors for ever."""

    def stay() -> None:
        os.write(report, REPORT.pack(0, 0))
        while True:
            signal.pause()

    TwoDoors(Path(folder)).inside(stay, timeout=20)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # killed writers are buried by the kernel
    requests = socket.socket(fileno=int(sys.argv[1]))
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, 4096, 1)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            work = json.loads(request)
            requests.close()
            try:
                {"append": append, "hold": hold}[work.pop("job")](descriptors[0], **work)
            except BrokenPipeError:
                os._exit(0)
        os.close(descriptors[0])
        requests.send(str(pid).encode())


if __name__ == "__main__":
    main()
