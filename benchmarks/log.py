"""How fast the SQLite log appends on this disk, alone and with several processes writing.

    python -m benchmarks.log [--json] [--seconds 2] [--repeat 3] [--folder DIR]

Each number is the median of the repeats. The disk's own fdatasync is measured before every repeat, in the
same folder, because no append can be faster than one of those. A command is 30 bytes, a batch 1 or 100.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

from p2pcli.log.entry import Batch
from p2pcli.log.sqlite import SqliteLog

COMMAND_BYTES = 30
CASES = [(1, 1), (1, 100), (3, 1), (3, 100)]  # writers, commands in a batch

_WRITE_BYTES = 8192  # what a small commit adds to the WAL
_SYNCS = 300


class Measured(NamedTuple):
    """One case, over one repeat or as the median of several."""

    writers: int
    commands: int  # in a batch
    appends_per_s: float  # all writers together
    p50_ms: float
    p99_ms: float
    fairness: float  # Jain's index over the writers' appends: 1.0 is equal shares
    fdatasync_ms: float  # median of the disk alone, just before


def fdatasync_ms(folder: Path) -> float:
    """Return the median time of writing and syncing 8 KiB in place."""
    path = folder / "fdatasync"
    times = []
    with path.open("wb", buffering=0) as file:
        file.write(bytes(_WRITE_BYTES * _SYNCS))
        os.fsync(file.fileno())
        for index in range(_SYNCS):
            begin = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * _WRITE_BYTES, index * _WRITE_BYTES)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    path.unlink()
    return statistics.median(times) * 1000


def append_for(
    seconds: float, folder: Path, name: str, body_bytes: int, start: Barrier, result: Connection
) -> None:
    """Append without pause and send the latencies: the body of a writer process."""
    body, number, latencies = b"x" * body_bytes, 0, []
    with SqliteLog(folder) as log:
        start.wait()
        end = time.perf_counter() + seconds
        while (begin := time.perf_counter()) < end:
            number += 1
            log.append(Batch(name, 1, number, body), timeout=10)
            latencies.append(time.perf_counter() - begin)
    result.send(latencies)


def measure(base: Path, writers: int, commands: int, seconds: float) -> Measured:
    """Run one case in a fresh folder."""
    sync_ms = fdatasync_ms(base)
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=base) as folder:
        start = spawn.Barrier(writers)
        results, processes = [], []
        for index in range(writers):
            ours, theirs = spawn.Pipe(duplex=False)
            arguments = (seconds, Path(folder), f"writer{index}", commands * COMMAND_BYTES, start, theirs)
            process = spawn.Process(target=append_for, args=arguments)
            process.start()
            results.append(ours)
            processes.append(process)
        latencies = [result.recv() for result in results]
        for process in processes:
            process.join()
    counts = [len(each) for each in latencies]
    merged = sorted(latency for each in latencies for latency in each)
    return Measured(
        writers,
        commands,
        appends_per_s=len(merged) / seconds,
        p50_ms=merged[len(merged) // 2] * 1000,
        p99_ms=merged[len(merged) * 99 // 100] * 1000,
        fairness=sum(counts) ** 2 / (len(counts) * sum(count * count for count in counts)),
        fdatasync_ms=sync_ms,
    )


def median_of(repeats: Sequence[Measured]) -> Measured:
    """Return the median of every number by itself."""
    return Measured(*(statistics.median(column) for column in zip(*repeats, strict=True)))


def main() -> None:
    """Measure every case and print a table, or JSON lines."""
    parser = argparse.ArgumentParser(description="Measure the SQLite log on this disk.")
    parser.add_argument("--json", action="store_true", help="one JSON object per case instead of the table")
    parser.add_argument("--seconds", type=float, default=2.0, help="of appending per case and repeat")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="on the disk to measure")
    options = parser.parse_args()
    if not options.json:
        print("writers  batch  appends/s  commands/s  p50 ms  p99 ms  fairness  fdatasync ms")
    for writers, commands in CASES:
        repeats = []
        for _ in range(options.repeat):
            repeats.append(measure(options.folder, writers, commands, options.seconds))
        case = median_of(repeats)
        if options.json:
            print(json.dumps(case._asdict()))
        else:
            print(
                f"{case.writers:7} {case.commands:6} {case.appends_per_s:10,.0f}"
                f" {case.appends_per_s * case.commands:11,.0f} {case.p50_ms:7.2f} {case.p99_ms:7.2f}"
                f" {case.fairness:9.3f} {case.fdatasync_ms:13.2f}"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
