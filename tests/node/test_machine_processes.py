"""Two machines in two processes agree, though everything that could differ between processes differs."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from driven import Driven, random_batches
from p2pcli.market.commands import Define
driven = Driven(Define("A/B", 1, 1, 1, 1000, 1000, remembered_ids=20))
for groups in random_batches(driven, 11, 200, 20, "abcdefgh"):
    driven.apply(*groups)
machine = driven.machine
assert machine.last_trade > 100
sys.stdout.buffer.write(machine.digest + machine.state_digest() + machine.snapshot())
"""


def _state(**environment: str) -> bytes:
    oracles = Path(__file__).parents[1] / "oracles"
    inherited = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "PYTHONUTF8")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**inherited, "PYTHONPATH": str(oracles), **environment},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_processes_with_other_hash_seeds_time_zones_and_languages_agree():
    one = _state(PYTHONHASHSEED="1", TZ="UTC", LANG="C")
    other = _state(PYTHONHASHSEED="4711", TZ="Asia/Kathmandu", LANG="tr_TR.UTF-8")
    assert one == other
