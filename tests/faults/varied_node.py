"""A node in a place of its own: each speaks another language, lives in another time zone, hashes otherwise.

The program of the nodes in these tests. Nothing of it may show in what they answer: state is a function
of the log alone. Children inherit no PYTHONHASHSEED here, so every process draws its own.
"""

import locale
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from p2pcli.grenache import process

ZONES = ("Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu", "Etc/GMT+12")
LANGUAGES = ("C.UTF-8", "POSIX", "C", "en_US.UTF-8")


def run(
    plan: Any,
    ready: Callable[[dict[str, str]], None],
    stop: threading.Event,
    waits: Callable[[str], None],
) -> None:
    place = int(plan.node.name.removeprefix("client"))
    os.environ["TZ"] = ZONES[place % len(ZONES)]
    time.tzset()
    os.environ["LANG"] = os.environ["LC_ALL"] = LANGUAGES[place % len(LANGUAGES)]
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:  # this machine does not speak it
        locale.setlocale(locale.LC_ALL, "C")
    assert sys.flags.hash_randomization, "every process hashes text in its own way"
    process.run(plan, ready, stop, waits)
