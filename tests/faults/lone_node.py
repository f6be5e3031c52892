"""One node as a process of its own: its plan on stdin, its address or failure as JSON on stdout.

    python lone_node.py DESCRIPTORS       (limit of open files; 0: as it is)

It ends on SIGTERM, and with the test that started it.
"""

import json
import os
import resource
import signal
import sys
import threading

import msgspec

from p2pcli.errors import P2pxError
from p2pcli.node.plan import NodePlan
from p2pcli.node.process import run

stop = threading.Event()


def ends() -> None:
    """Stop at SIGTERM or at the end of stdin, whichever comes first."""
    os.read(0, 1)
    stop.set()


def main() -> None:
    descriptors = int(sys.argv[1])
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1 << 16)
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=lambda: (os.read(read, 1), stop.set()), daemon=True).start()
    threading.Thread(target=ends, daemon=True).start()
    try:
        run(
            msgspec.json.decode(line, type=NodePlan),
            lambda addresses: print(json.dumps(addresses), flush=True),
            stop,
        )
    except P2pxError as error:
        print(json.dumps({"failed": error.message, "code": error.code}), flush=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
