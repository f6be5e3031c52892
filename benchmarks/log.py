"""How fast each log appends on this disk, alone and with several processes writing: SQLite and etcd.

    python -m benchmarks.log [--json] [--seconds 2] [--repeat 3] [--folder DIR] [--engine sqlite]

Each number is the median of the repeats. The disk's own fdatasync is measured before every repeat, in the
same folder, because no append can be faster than one of those. A command is 30 bytes, a batch 1 or 100.
etcd is three members that are started for it in the same folder, where it is installed.
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
from p2pcli.node.engine import open_log

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "oracles"))
from etcd_members import MISSING, EtcdMembers

COMMAND_BYTES = 30
CASES = [(1, 1), (1, 100), (3, 1), (3, 100)]  # writers, commands in a batch

_WRITE_BYTES = 8192  # what a small commit adds to the WAL
_SYNCS = 300


class Measured(NamedTuple):
    """One case, over one repeat or as the median of several."""

    engine: str
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
    seconds: float, url: str, name: str, body_bytes: int, start: Barrier, result: Connection
) -> None:
    """Append without pause and send the latencies: the body of a writer process."""
    body, number, latencies = b"x" * body_bytes, 0, []
    log = open_log(url, "market", durable=True)
    start.wait()
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        number += 1
        log.append(Batch(name, 1, number, body), timeout=10)
        latencies.append(time.perf_counter() - begin)
    log.close()
    result.send(latencies)


def measure(base: Path, url: str, writers: int, commands: int, seconds: float) -> Measured:
    """Run one case in a fresh folder: of ``base``, or of the etcd at ``url``."""
    sync_ms = fdatasync_ms(base)
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=base) as folder:
        start = spawn.Barrier(writers)
        results, processes = [], []
        for index in range(writers):
            ours, theirs = spawn.Pipe(duplex=False)
            place = f"{url or 'sqlite://'}{folder}"
            arguments = (seconds, place, f"writer{index}", commands * COMMAND_BYTES, start, theirs)
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
        "etcd" if url else "sqlite",
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
    columns = zip(*(repeat[1:] for repeat in repeats), strict=True)
    return Measured(repeats[0].engine, *(statistics.median(column) for column in columns))


def report(base: Path, url: str, seconds: float, repeat: int, as_json: bool) -> None:
    """Measure every case of one engine and print it."""
    for writers, commands in CASES:
        case = median_of([measure(base, url, writers, commands, seconds) for _ in range(repeat)])
        if as_json:
            print(json.dumps(case._asdict()))
        else:
            print(
                f"{case.engine:6} {case.writers:7} {case.commands:6} {case.appends_per_s:10,.0f}"
                f" {case.appends_per_s * case.commands:11,.0f} {case.p50_ms:7.2f} {case.p99_ms:7.2f}"
                f" {case.fairness:9.3f} {case.fdatasync_ms:13.2f}"
            )
        sys.stdout.flush()


def main() -> None:
    """Measure every case and print a table, or JSON lines."""
    parser = argparse.ArgumentParser(description="Measure the logs on this disk.")
    parser.add_argument("--json", action="store_true", help="one JSON object per case instead of the table")
    parser.add_argument("--seconds", type=float, default=2.0, help="of appending per case and repeat")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="on the disk to measure")
    parser.add_argument("--engine", choices=["sqlite", "etcd"], help="only this one")
    options = parser.parse_args()
    if not options.json:
        print("engine writers  batch  appends/s  commands/s  p50 ms  p99 ms  fairness  fdatasync ms")
    if options.engine != "etcd":
        report(options.folder, "", options.seconds, options.repeat, options.json)
    if options.engine == "sqlite":
        return
    if MISSING:
        print(MISSING, file=sys.stderr)
        return
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        EtcdMembers(Path(folder) / "etcd", 3) as members,
    ):
        report(options.folder, members.url, options.seconds, options.repeat, options.json)


if __name__ == "__main__":
    main()
