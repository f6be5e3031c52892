"""Did the cluster keep its word? What clients were told, the log and every node, compared. Pure.

Everything is read once, in sequence: each log entry beside the record that every node keeps of it. Memory
grows with the tellings and the resting orders, not with the length of the log.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from p2pcli.cluster.chaos.ledger import Name, Telling, Told, id_of
from p2pcli.cluster.chaos.twin import Expected, Resting, Row, Rules, Trade, Twin
from p2pcli.market.commands import Command, Define
from p2pcli.market.events import Amended, Cancelled, Outcome, Placed, Reason, Refused, Repeated
from p2pcli.node.body import decode_body
from p2pcli.node.export import Export
from p2pcli.node.record import Record

BookRow = tuple[int, str, str, int, int]  # order, owner, side, price, remaining

SHOWN = 20  # violations of one guarantee that are told one by one


class Violation(msgspec.Struct, frozen=True):
    """One broken promise."""

    guarantee: str  # S1 to S11 of the design
    what: str


class LogEntry(msgspec.Struct, frozen=True):
    """An entry as it came from the log."""

    sequence: int
    producer: str
    epoch: int
    number: int
    body: bytes
    chain: bytes


class NodeState(msgspec.Struct, frozen=True):
    """What one node has at one sequence, after everything has come to rest."""

    name: str
    sequence: int
    digest: bytes
    book: list[BookRow]  # in priority order


class Effect(msgspec.Struct, frozen=True):
    """Where a request took effect, and what came of it."""

    sequence: int
    command: Command
    outcome: Outcome


class Violations:
    """What was found, a bounded number of each guarantee."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = defaultdict(list)
        self._more: dict[str, int] = defaultdict(int)

    def add(self, guarantee: str, what: str) -> None:
        if len(self._found[guarantee]) < SHOWN:
            self._found[guarantee].append(what)
        else:
            self._more[guarantee] += 1

    def listed(self) -> list[Violation]:
        """Return them all, by guarantee."""
        listed = []
        for guarantee, found in sorted(self._found.items()):
            listed += [Violation(guarantee, what) for what in found]
            if self._more[guarantee]:
                listed.append(Violation(guarantee, f"and {self._more[guarantee]} more"))
        return listed


class Judge:
    """Reads one market's past once and remembers what contradicts what."""

    def __init__(self, symbol: str, tellings: Sequence[Telling]) -> None:
        self.violations = Violations()
        self.entries = 0
        self.commands = 0
        self.trades = 0
        self._tellings = tellings
        self._export = Export(symbol)
        self._twin: Twin | None = Twin(Rules(0, 0))
        self._trusts_producers = False
        self._effects: dict[Name, Effect] = {}
        # Of sequences that somebody was told of, every answer: an entry may carry a repeat as well.
        self._answers: dict[int, dict[Name, list[Outcome]]] = {}
        for telling in tellings:
            if telling.told is Told.OK:
                self._answers[telling.sequence] = defaultdict(list)
        self._by_name: dict[Name, list[Telling]] = defaultdict(list)
        for telling in tellings:
            self._by_name[telling.name].append(telling)
        self._admitted: dict[str, tuple[int, int]] = {}  # producer -> epoch, number
        self._chain: bytes | None = None

    # -- the past, in sequence --------------------------------------------------------------------

    def read(
        self,
        last: int,
        log: Iterable[LogEntry],
        first: int,
        since: int,
        nodes: Mapping[str, Iterable[Record]],
    ) -> None:
        """Go through entries 1 to ``last``, of which the log still has those from ``first`` on.

        A node that once began from a peer's snapshot has no records of the time before; after ``since``
        every node must have all.
        """
        self._trusts_producers = first > 1
        entries = iter(log)
        histories = {name: iter(records) for name, records in nodes.items()}
        waiting: dict[str, Record | None] = {name: next(each, None) for name, each in histories.items()}
        for sequence in range(1, last + 1):
            self.entries += 1
            entry = next(entries, None) if sequence >= first else None
            counts = self._check_entry(sequence, entry) if sequence >= first else None
            known: dict[str, Record] = {}
            for name, record in waiting.items():
                if record is not None and record.sequence == sequence:
                    known[name] = record
                    waiting[name] = next(histories[name], None)
                elif sequence > since:
                    self.violations.add("S2", f"{name} has no record of entry {sequence}")
            if known:
                self._check_records(sequence, known, entry, counts)
            else:
                self._twin = None  # without the beginning nobody can say what should have happened

    def _check_entry(self, sequence: int, entry: LogEntry | None) -> bool | None:
        """Return whether the entry counts, None when it is not there."""
        if entry is None or entry.sequence != sequence:
            found = "nothing" if entry is None else f"entry {entry.sequence}"
            self.violations.add("S2", f"the log has {found} in the place of entry {sequence}")
            self._chain = None
            return None
        previous = bytes(32) if sequence == 1 else self._chain
        if previous is not None and _linked(previous, entry) != entry.chain:
            self.violations.add("S2", f"entry {sequence} of the log does not follow from the one before it")
        self._chain = entry.chain
        return self._counts(entry)

    def _check_records(
        self, sequence: int, known: dict[str, Record], entry: LogEntry | None, counts: bool | None
    ) -> None:
        (name, record), *others = known.items()
        for other, theirs in others:
            if theirs != record:
                self.violations.add("S3", f"{name} and {other} differ about entry {sequence}")
        if entry is not None and decode_body(entry.body).groups != record.groups:
            self.violations.add("S3", f"{name} has other commands than the log at entry {sequence}")
        if counts is not None and counts != bool(record.outcomes or not record.groups):
            self.violations.add("S9", f"entry {sequence} was {'not ' * (not record.outcomes)}carried out")
        for owner, command, outcome in record.answers():
            if isinstance(command, Define) and self._twin is not None:
                self._twin.rules = _rules(command)
            self._note(sequence, (owner, id_of(command)), command, outcome)
        for row, trades in self._export.rows(record):
            self.commands += 1
            self.trades += len(trades)
            if self._twin is not None:
                self._check_row(self._twin.take(row), row, trades)

    def _counts(self, entry: LogEntry) -> bool:
        """Return whether the entry's batch is its producer's next one: others do nothing."""
        known = self._admitted.get(entry.producer)
        epoch, number = known or (0, 0)
        follows = entry.number == (number + 1 if entry.epoch == epoch else 1)
        if known is None and self._trusts_producers:
            follows = True  # what it had sent before was trimmed away
        if entry.epoch < epoch or not follows:
            return False
        self._admitted[entry.producer] = (entry.epoch, entry.number)
        return True

    def _note(self, sequence: int, name: Name, command: Command, outcome: Outcome) -> None:
        if isinstance(outcome, Placed | Amended) and not _adds_up(command, outcome):
            self.violations.add("S5", f"{_shown(name)} does not add up: {outcome}")
        if name not in self._by_name:
            return
        if sequence in self._answers:
            self._answers[sequence][name].append(outcome)
        if isinstance(outcome, Repeated) or _is_reused(outcome):
            return
        if name in self._effects:
            first = self._effects[name].sequence
            self.violations.add("S9", f"{_shown(name)} took effect at {first} and again at {sequence}")
            return
        self._effects[name] = Effect(sequence, command, outcome)

    def _check_row(self, expected: Expected, row: Row, trades: list[Row]) -> None:
        where = f"command {row['seq']} ({row['op']} {row['id']} of {row['owner']})"
        if row["outcome"] != expected.outcome:
            self.violations.add("S4", f"{where} was {row['outcome']}, expected {expected.outcome}")
        if row["op"] == "place" and expected.order and row["order"] != expected.order:
            self.violations.add("S4", f"{where} got id {row['order']}, expected {expected.order}")
        found: list[Trade] = [
            (each["maker"], each["taker"], each["price"], each["qty"], each["buyer"], each["seller"])
            for each in trades
        ]
        if found != expected.trades:
            self.violations.add("S4", f"{where} traded {found}, expected {expected.trades}")
        numbers = [trade["n"] for trade in trades]
        if numbers != list(range(self.trades - len(trades) + 1, self.trades + 1)):
            self.violations.add("S6", f"{where} has trade numbers {numbers}, expected up to {self.trades}")
        if self._twin is not None and self._twin.is_crossed:
            self.violations.add("S8", f"the book is crossed after {where}")

    # -- the end ----------------------------------------------------------------------------------

    def compare(self, nodes: Sequence[NodeState]) -> None:
        """Compare what each node has in the end with what it should have, and with the others."""
        expected = nodes[0].book if self._twin is None else list(map(_book_row, self._twin.resting()))
        for node in nodes:
            if (node.sequence, node.digest) != (nodes[0].sequence, nodes[0].digest):
                self.violations.add(
                    "S3",
                    f"{node.name} has digest {node.digest.hex()[:16]} at sequence {node.sequence}, "
                    f"{nodes[0].name} has {nodes[0].digest.hex()[:16]} at {nodes[0].sequence}",
                )
            if node.book != expected:
                wrong = [row for row in node.book if row not in expected]
                wrong += [row for row in expected if row not in node.book]
                self.violations.add("S4", f"the book of {node.name} is not the expected one: {wrong[:3]}")

    def confront(self) -> None:
        """Compare what clients were told with what happened."""
        for telling in self._tellings:
            match telling.told:
                case Told.OK:
                    self._check_ok(telling)
                case Told.REFUSED:
                    self._check_refused(telling)
        self._check_named_orders()
        self._check_order_of_time()

    def _check_ok(self, telling: Telling) -> None:
        name = telling.name
        there = self._answers[telling.sequence].get(name)
        if not there:
            self.violations.add("S1", f"{_shown(name)} was told ok at {telling.sequence} and is not there")
            return
        if telling.outcome not in there:
            self.violations.add(
                "S1",
                f"{_shown(name)} was told {telling.outcome} at {telling.sequence}, the nodes have {there}",
            )
        effect = self._effects.get(name)
        if effect is None:
            self.violations.add("S9", f"{_shown(name)} was answered and never took effect")
            return
        if _is_reused(telling.outcome):
            if effect.command == telling.command:
                self.violations.add("S9", f"{_shown(name)} was refused as another command, and is the same")
            return
        if effect.command != telling.command:
            self.violations.add("S9", f"{_shown(name)} was answered for another command of that id")
        elif isinstance(telling.outcome, Repeated) and (
            (telling.outcome.sequence, telling.outcome.outcome) != (effect.sequence, effect.outcome)
        ):
            self.violations.add("S9", f"a repeat of {_shown(name)} was told another first answer")

    def _check_refused(self, telling: Telling) -> None:
        """A sending that was refused has no effect, so some other sending must have had it (S10)."""
        effect = self._effects.get(telling.name)
        if effect is None or effect.command != telling.command:
            return
        others = [
            other
            for other in self._by_name[telling.name]
            if other is not telling and other.told is not Told.REFUSED and other.command == telling.command
        ]
        if not others:
            self.violations.add(
                "S10",
                f"{_shown(telling.name)} was refused ({telling.reason}) and took effect at {effect.sequence}",
            )

    def _check_named_orders(self) -> None:
        """A cancel or amend that named an order by its client order id must have met that order."""
        for (owner, _), effect in self._effects.items():
            named = getattr(effect.command, "client_order_id", "")
            if isinstance(effect.outcome, Cancelled | Amended) and named:
                placed = self._effects.get((owner, named))
                if placed is None:
                    continue  # of the time before this run
                order = placed.outcome.order if isinstance(placed.outcome, Placed) else None
                if order != effect.outcome.order:
                    self.violations.add(
                        "S4", f"{named} of {owner} is order {order}, but {effect.outcome.order} was changed"
                    )

    def _check_order_of_time(self) -> None:
        """What was sent after an answer comes after it in the log (S11)."""
        answered = sorted(
            (telling.answered, telling.sequence) for telling in self._tellings if telling.told is Told.OK
        )
        place, highest = 0, 0
        for telling in sorted(self._tellings, key=lambda each: each.sent):
            while place < len(answered) and answered[place][0] < telling.sent:
                highest = max(highest, answered[place][1])
                place += 1
            if telling.told is Told.OK and telling.sequence <= highest:
                self.violations.add(
                    "S11",
                    f"{_shown(telling.name)} at {telling.sequence} was sent after the answer of {highest}",
                )


def judge(
    symbol: str,
    tellings: Sequence[Telling],
    log: tuple[int, Iterable[LogEntry]],
    histories: Mapping[str, Iterable[Record]],
    nodes: Sequence[NodeState],
    since: int = 0,
) -> Judge:
    """Return a judge who has seen everything. ``log`` is its first sequence and its entries.

    ``since`` is where the run began: nodes may lack records of what was before.

    O(entries + tellings log tellings), and for each command O(resting orders).
    """
    judge = Judge(symbol, tellings)
    judge.read(max((node.sequence for node in nodes), default=0), log[1], log[0], since, histories)
    judge.compare(nodes)
    judge.confront()
    return judge


def _linked(previous: bytes, entry: LogEntry) -> bytes:
    """Return the hash that the log floor documents, computed here anew."""
    producer = entry.producer.encode()
    hashed = blake2b(digest_size=32, person=b"p2px log chain 1")
    hashed.update(previous + struct.pack(">QQH", entry.epoch, entry.number, len(producer)) + producer)
    hashed.update(entry.body)
    return hashed.digest()


def _book_row(order: Resting) -> BookRow:
    return order.order, order.owner, "buy" if order.is_buy else "sell", order.price, order.remaining


def _rules(define: Define) -> Rules:
    return Rules(
        define.max_price,
        define.max_quantity,
        define.price_band,
        define.max_open_orders,
        define.remembered_ids,
    )


def _adds_up(command: Command, outcome: Placed | Amended) -> bool:
    """Return whether what was filled and what rests make up the order; the rest of it is cancelled."""
    quantity = outcome.quantity if isinstance(outcome, Amended) else getattr(command, "quantity", 0)
    here = sum(fill.quantity for fill in outcome.fills)
    all_here = here <= outcome.filled if isinstance(outcome, Amended) else here == outcome.filled
    whole = outcome.filled + outcome.remaining
    return all_here and (whole == quantity if outcome.status.is_open else whole <= quantity)


def _is_reused(outcome: Outcome | None) -> bool:
    return isinstance(outcome, Refused) and outcome.reason is Reason.ID_REUSED


def _shown(name: Name) -> str:
    return f"{name[1] or 'a command without id'} of {name[0]}"
