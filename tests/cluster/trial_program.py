"""A process on trial: it serves, or misbehaves as a file in its folder says. Run by real children."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEHAVIOUR = "behaviour"


def run(
    plan: Any,
    ready: Callable[[dict[str, str]], None],
    stop: threading.Event,
    waits: Callable[[str], None] = print,
) -> None:
    plan = getattr(plan, "node", plan)  # a node's plan comes inside that of its gateway
    folder = Path(plan.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pid").write_text(str(os.getpid()))
    behaviour = folder / BEHAVIOUR
    match behaviour.read_text() if behaviour.exists() else "serve":
        case "fail":
            print("words on stdout", flush=True)
            raise ValueError("the trial was to fail")
        case "vanish":
            os._exit(7)
        case str(words) if words.startswith("serve once there is "):
            while not Path(words.removeprefix("serve once there is ")).exists():
                time.sleep(0.01)
            ready({})
            stop.wait()
        case str(words) if words.startswith("wait until there is "):
            while not Path(words.removeprefix("wait until there is ")).exists():
                waits("nobody answers")
                time.sleep(0.01)
            ready({})
            stop.wait()
        case "hang at start":
            threading.Event().wait()
        case "ignore the end":
            ready({})
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            threading.Event().wait()
        case "crash once":
            behaviour.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        case "crash after a while":
            ready({})
            os._exit(9)
        case "serve http":
            with socket.create_server((plan.host, 0)) as server:
                threading.Thread(target=_answer, args=(server,), daemon=True).start()
                ready({"http": f"{plan.host}:{server.getsockname()[1]}"})
                stop.wait()
        case "take the port":
            with socket.create_server((plan.host, plan.port)) as server:
                ready({"rpc": f"{plan.host}:{server.getsockname()[1]}"})
                stop.wait()
        case "hang up early":
            ready({})
            for descriptor in map(int, os.listdir("/proc/self/fd")):
                _hang_up(descriptor)
            stop.wait()
        case _:
            ready({"trial": "127.0.0.1:1"})
            stop.wait()


def _hang_up(descriptor: int) -> None:
    """Close our half of the line to the supervisor, if that is what the descriptor is."""
    try:
        line = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return
    with line:
        if line.type is socket.SOCK_SEQPACKET:
            line.shutdown(socket.SHUT_WR)


def _answer(server: socket.socket) -> None:
    while True:
        caller, _ = server.accept()
        with caller:
            caller.recv(100)
            caller.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")


while os.environ.get("TRIAL_SLOW_IMPORT") and not Path(os.environ["TRIAL_SLOW_IMPORT"]).exists():
    time.sleep(0.01)
