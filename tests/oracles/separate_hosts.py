"""Hosts on one machine that can be cut off from each other: network namespaces on a bridge (Linux, root).

The test itself is the bridge's own host and reaches all of them, unless they are cut off.
"""

import os
import subprocess
from typing import NamedTuple


class Host(NamedTuple):
    """Where a program runs: its address there, and the words to begin its command with."""

    address: str
    words: tuple[str, ...]


class SeparateHosts:
    """Some hosts. A context manager; entering it raises ``NotPermitted`` where it is not allowed."""

    def __init__(self, count: int) -> None:
        self._bridge = f"p2px{os.getpid() % 100_000}"
        network = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self._gateway = f"{network}.1"
        self.hosts = [
            Host(f"{network}.{11 + index}", ("ip", "netns", "exec", f"{self._bridge}h{index}"))
            for index in range(count)
        ]

    def __enter__(self) -> "SeparateHosts":
        try:
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("addr", "add", f"{self._gateway}/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            for index, host in enumerate(self.hosts):
                inside, outside, name = f"{self._bridge}i{index}", self._end(index), host.words[-1]
                _ip("netns", "add", name)
                _ip("link", "add", outside, "type", "veth", "peer", "name", inside)
                _ip("link", "set", outside, "master", self._bridge, "up")
                _ip("link", "set", inside, "netns", name)
                _ip("-n", name, "addr", "add", f"{host.address}/24", "dev", inside)
                _ip("-n", name, "link", "set", inside, "up")
                _ip("-n", name, "link", "set", "lo", "up")
        except NotPermitted:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for words in (
            *(("netns", "del", host.words[-1]) for host in self.hosts),
            *(("link", "del", self._end(index)) for index in range(len(self.hosts))),
            ("link", "del", self._bridge),
        ):
            try:
                _ip(*words)
            except NotPermitted:
                pass

    def cut(self, index: int) -> None:
        """Let nothing through to a host or from it."""
        _ip("link", "set", self._end(index), "down")

    def heal(self, index: int) -> None:
        _ip("link", "set", self._end(index), "up")

    def _end(self, index: int) -> str:
        return f"{self._bridge}o{index}"


class NotPermitted(Exception):
    """The system does not let us make networks. The text is the system's own."""


def _ip(*words: str) -> None:
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotPermitted("there is no ip (iproute2)") from None
    if done.returncode:
        raise NotPermitted(f"ip {' '.join(words)}: {done.stderr.strip()}")
