"""Becoming a supervisor, and not lingering after a bug."""

import subprocess
import sys

from p2pcli.cluster.daemon import CRASHED

LINGERING = """
import sys, threading
from p2pcli.cluster.daemon import die_at_once
threading.Thread(target=threading.Event().wait).start()
sys.excepthook = die_at_once
raise AssertionError("a bug")
"""


def test_a_supervisor_with_a_bug_ends_at_once_whatever_it_would_wait_for() -> None:
    ended = subprocess.run([sys.executable, "-c", LINGERING], capture_output=True, text=True, timeout=20)
    assert ended.returncode == CRASHED
    assert ended.stderr.endswith("AssertionError: a bug\n")
