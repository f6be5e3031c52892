"""A program that serves in the foreground until Ctrl-C or SIGTERM."""

import signal
import threading
from collections.abc import Callable
from typing import Any

from p2pcli.cli.screen import Screen

Run = Callable[[Any, Callable[[dict[str, str]], None], threading.Event], None]


def serve(screen: Screen, run: Run, plan: object) -> None:
    """Run it and print its addresses once it serves. Returns when it was told to stop and has stopped."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def ready(addresses: dict[str, str]) -> None:
        if screen.is_text:
            screen.lines([f"{kind:<8}  {address}" for kind, address in addresses.items()])
            screen.note("Ctrl-C stops it")
        else:
            screen.document(addresses)
        screen.flush()

    run(plan, ready, stop)
