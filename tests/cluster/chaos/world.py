"""A market that ran without faults, with everything a judge reads: what tests take to pieces."""

from itertools import count

from driven import SECOND, Driven

from p2pcli.cluster.chaos.ledger import Telling, Told
from p2pcli.cluster.chaos.verdict import BookRow, Judge, LogEntry, NodeState, judge
from p2pcli.market.commands import Command
from p2pcli.market.events import Done, Outcome
from p2pcli.node.body import decode_body
from p2pcli.node.record import Record

MARKET = "BTC/USD"
NODES = ("client1", "client2", "client3")


class World:
    """Commands go in one by one; ``judge`` looks at the log, three nodes and what clients were told."""

    def __init__(self) -> None:
        self.driven = Driven()
        self.tellings: list[Telling] = []
        self.records: dict[str, list[Record]] = {name: [] for name in NODES}
        self.time = count(1)
        self._keep(1, [[Done()]])  # its definition

    def tell(self, owner: str, command: Command) -> Outcome:
        """Carry out a command, and write down that its owner was told so."""
        sent = float(next(self.time))
        applied = self.driven.apply((owner, [command]))
        self._keep(applied.sequence, applied.outcomes)
        ((outcome,),) = applied.outcomes
        self.tellings.append(
            Telling(
                owner, command, "client1", sent, float(next(self.time)), Told.OK, applied.sequence, outcome
            )
        )
        return outcome

    def log(self) -> list[LogEntry]:
        return [
            LogEntry(
                entry.sequence,
                entry.batch.producer,
                entry.batch.epoch,
                entry.batch.number,
                entry.batch.body,
                entry.chain,
            )
            for entry in self.driven.entries
        ]

    def book(self) -> list[BookRow]:
        return [
            (view.order, view.owner, view.side.name.lower(), view.price, view.remaining)
            for view in self.driven.machine.full_book()
        ]

    def states(self) -> list[NodeState]:
        machine = self.driven.machine
        return [NodeState(name, machine.sequence, machine.state_digest(), self.book()) for name in NODES]

    def judge(self, *, log=None, first=1, states=None, since=0) -> Judge:
        return judge(
            MARKET,
            self.tellings,
            (first, self.log()[first - 1 :] if log is None else log),
            self.records,
            states or self.states(),
            since,
        )

    def _keep(self, sequence: int, outcomes: list[list[Outcome]]) -> None:
        groups = decode_body(self.driven.entries[-1].batch.body).groups
        for records in self.records.values():
            records.append(Record(sequence, sequence * SECOND, groups, outcomes))
