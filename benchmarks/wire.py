"""What the bytes of one order cost on their way: frames, requests, parcels, log bodies, answers. No socket.

    python -m benchmarks.wire [--json] [--rounds N]

Every figure is the least CPU time of several rounds, in microseconds an order, for orders that travel 1 and
100 to a frame, 256 of them at once.
"""

import argparse
import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from p2pcli.cluster.bench.flow import orders
from p2pcli.market.notes import Notes
from p2pcli.node.answers import answer_frames, answers_apart
from p2pcli.node.body import decode_body, encode_body
from p2pcli.node.parcels import parcels
from p2pcli.node.requests import Submit, decode_reply, decode_request, encode
from p2pcli.rpc.frame import FrameDecoder, framed

TOGETHER = 256  # orders that arrive in one piece of the stream
TURNS = 50  # per round
SIZES = (1, 100)  # orders in a frame
SOMEBODY: Any = SimpleNamespace(session="0123456789")  # all that a parcel needs of a connection

_OPEN: Notes = [123_456]
_FILLED: Notes = [-123_457, 1, 0, 77_777, 0, 3_000_000, 1_000_000, 12_345, "client1"]


def steps(size: int) -> dict[str, Callable[[], object]]:
    """Return each step of an order's bytes, done once for ``TOGETHER`` orders, by name."""
    flow = orders(TOGETHER, 1, 3_000_000, 1_000_000)
    submits = [
        Submit(number, 1, flow[start : start + size])
        for number, start in enumerate(range(0, len(flow), size))
    ]
    payloads = [encode(submit) for submit in submits]
    stream = b"".join(map(framed, payloads))
    (parcel,) = parcels(SOMEBODY, "client1", submits)
    body = encode_body(1, [("client1", parcel.encoded)])
    asked = parcel.ids, parcel.counts, parcel.commands
    notes = [*_OPEN, *_FILLED] * (TOGETHER // 2)
    answers = answer_frames(7, *asked, notes)
    commands = {submit.id: submit.commands for submit in submits}.__getitem__
    (answered,) = FrameDecoder().feed(answers)
    reply = decode_reply(answered)
    return {
        "client: encode a request": lambda: [framed(encode(submit)) for submit in submits],
        "node: cut the stream": lambda: FrameDecoder().feed(stream),
        "node: decode requests": lambda: [decode_request(payload) for payload in payloads],
        "node: make a parcel": lambda: list(parcels(SOMEBODY, "client1", submits)),
        "node: encode the log's body": lambda: encode_body(1, [("client1", parcel.encoded)]),
        "peer: decode the log's body": lambda: decode_body(body),
        "node: encode answers": lambda: answer_frames(7, *asked, notes),
        "client: decode answers": lambda: decode_reply(answered),
        "client: take answers apart": lambda: list(answers_apart(reply, commands)),
    }


def cost_us(step: Callable[[], object], rounds: int) -> float:
    """Return the CPU time of one order in microseconds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(TURNS):
            step()
        best = min(best, time.process_time() - began)
    return best / TURNS / TOGETHER * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    found = {
        str(size): {name: cost_us(step, given.rounds) for name, step in steps(size).items()} for size in SIZES
    }
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'us an order':30}" + "".join(f"{f'{size} a frame':>14}" for size in SIZES))
    for name in found["1"]:
        print(f"{name:30}" + "".join(f"{found[str(size)][name]:14.3f}" for size in SIZES))


if __name__ == "__main__":
    main()
