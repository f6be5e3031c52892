"""A market's log on its way to another place, with real logs: broken off anywhere, given up, begun again."""

import random
from contextlib import closing, contextmanager

import msgspec
import pytest

from p2pcli.log.check import check_log
from p2pcli.log.entry import Batch
from p2pcli.log.sessions import Admission
from p2pcli.log.sqlite import SqliteLog
from p2pcli.market.commands import Move, MoveStep, Place, Side
from p2pcli.market.instrument import Instrument, as_define
from p2pcli.node.body import encode_body
from p2pcli.node.engine import open_log
from p2pcli.node.machine import Machine
from p2pcli.node.mover import MarketMove
from p2pcli.node.moving import CannotMove, LogMoved, Step, check_abort, next_step
from p2pcli.node.snapshots import Snapshots

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)
TARGET = "sqlite:///elsewhere"


class Broken(Exception):
    """The mover is killed here."""


class Fragile:
    """A log that kills its user before or after the n-th time something is written to it."""

    def __init__(self, log, chance):
        self._log = log
        self._chance = chance

    def __getattr__(self, name):
        return getattr(self._log, name)

    def _written(self, write, *args):
        fate = self._chance()
        if fate == "before":
            raise Broken
        result = write(*args)
        if fate == "after":
            raise Broken
        return result

    def append(self, batch, timeout):
        return self._written(self._log.append, batch, timeout)

    def install(self, entries):
        return self._written(self._log.install, entries)


class Node:
    """What a node does with a log: applies it, and appends orders to it unless it knows better."""

    def __init__(self, name, log):
        self.name = name
        self.log = log
        self.machine = Machine()
        self.epoch = 1
        self.number = 0
        self.done = []  # client order ids that it answered as carried out

    def catch_up(self):
        try:
            while entries := self.log.read(self.machine.sequence, 100):
                for entry in entries:
                    self.machine.apply(entry)
        except LogMoved:
            pass

    def order(self, name, looks=True):
        """Place an order; ``looks``: after reading what the log has, as a node mostly does."""
        if looks:
            self.catch_up()
        if self.machine.moving is not None:
            return
        command = Place(Side.SELL, 1, 100, client_order_id=name)
        sequence = self.log.append(batch_of(self.name, self.number + 1, command, self.epoch), 5.0)
        self.number += 1
        try:
            for entry in self.log.read(self.machine.sequence, 1000):
                applied = self.machine.apply(entry)
                if applied.sequence == sequence and applied.admission is Admission.NEW:
                    self.done.append(name)
        except LogMoved:
            pass


def batch_of(producer, number, command, epoch=1):
    raw = msgspec.Raw(msgspec.msgpack.encode([command]))
    return Batch(producer, epoch, number, encode_body(number, [(producer, raw)]))


def fresh(folder):
    """Return the log of a market that is defined and has one order."""
    log = SqliteLog(folder / "BTC-USD", durable=False)
    log.append(batch_of("client1", 1, as_define(BTC), epoch=0), 5.0)
    return log


@contextmanager
def mover(old, new, nodes=(), chance=lambda: None, target=TARGET):
    with MarketMove("BTC/USD", f"sqlite://{old}", new, target, nodes, durable=False) as market:
        market._old = Fragile(market._old, chance)
        market._new = Fragile(market._new, chance)
        yield market


def finish(market, target=TARGET):
    steps = []
    while (step := next_step(market.look(), target)) is not Step.DONE:
        steps.append(step)
        market.take(step)
    return steps


def carried_out(log):
    """Return the client order ids in the order they were carried out, by whoever reads the log anew."""
    machine, names = Machine(), []
    try:
        for entry in log.read(0, 10_000):
            before = machine.last_order
            machine.apply(entry)
            if machine.last_order > before:
                names.append(machine.order(machine.last_order).client_order_id)
    except LogMoved:
        pass
    return names, machine


@pytest.mark.parametrize("engine", ["sqlite", "etcd"])
def test_numbering_chain_and_state_go_on_in_the_new_place(tmp_path, request, engine):
    if engine == "etcd":
        new = f"{request.getfixturevalue('etcd_url')}/moved/{tmp_path.name}"
    else:
        new = f"sqlite://{tmp_path}/new"
    with closing(fresh(tmp_path / "old")) as old:
        node = Node("client1", old)
        for number in range(3):
            node.order(f"a-{number}")
        with mover(tmp_path / "old", new) as market:
            assert finish(market) == [Step.SEAL, Step.COPY, Step.END, Step.COPY, Step.BEGIN]
            assert finish(market) == []
        late = batch_of("client2", 1, Place(Side.SELL, 1, 100))
        assert old.append(late, 5.0) == 7  # the old engine does not know; nobody carries it out
        with mover(tmp_path / "old", new) as market:
            assert finish(market) == []
    with closing(open_log(new, "BTC-USD", durable=False)) as moved:
        node.log = moved
        node.order("a-3")
        assert node.done == ["a-0", "a-1", "a-2", "a-3"]
        names, machine = carried_out(moved)
        assert names == node.done
        assert machine.moving is None
        report = check_log(moved)
    assert (report.first, report.last, report.problem) == (1, 8, None)


def test_a_trimmed_log_moves_with_a_node_s_snapshot(tmp_path):
    with closing(fresh(tmp_path / "old")) as old:
        node = Node("client1", old)
        for number in range(6):
            node.order(f"a-{number}")
        Snapshots(tmp_path / "client1" / "BTC-USD").save(node.machine.snapshot(), node.machine.sequence)
        node.order("a-6")
        old.trim(5)
        with mover(tmp_path / "old", f"sqlite://{tmp_path}/new", [tmp_path / "client1"]) as market:
            finish(market)
    with closing(SqliteLog(tmp_path / "new" / "BTC-USD", durable=False)) as new:
        assert (new.first(), new.last()) == (5, 11)
        for entry in new.read(node.machine.sequence, 100):
            node.machine.apply(entry)
    assert (node.machine.sequence, node.machine.moving, node.machine.open_orders) == (11, None, 7)


def test_a_place_that_is_in_use_is_refused_before_anything_is_sealed(tmp_path):
    with closing(fresh(tmp_path / "old")) as old, closing(fresh(tmp_path / "new")):
        with mover(tmp_path / "old", f"sqlite://{tmp_path}/new") as market, pytest.raises(CannotMove):
            finish(market)
        assert carried_out(old)[1].moving is None


def test_a_move_back_to_the_old_place_is_refused_while_the_ended_log_is_there(tmp_path):
    with closing(fresh(tmp_path / "old")):
        with mover(tmp_path / "old", f"sqlite://{tmp_path}/new") as market:
            finish(market)
        back = "sqlite:///old"
        with (
            mover(tmp_path / "new", f"sqlite://{tmp_path}/old", target=back) as market,
            pytest.raises(CannotMove, match="has a log of BTC/USD already"),
        ):
            finish(market, back)


@pytest.mark.parametrize("seed", range(20))
def test_no_order_is_lost_doubled_or_carried_out_in_two_places_wherever_the_mover_is_killed(tmp_path, seed):
    chance = random.Random(seed)
    old_place, new_place = tmp_path / "old", tmp_path / "new"

    def fate():
        return chance.choice(["before", "after", None, None, None])

    with closing(fresh(old_place)) as old:
        sleeper = Node("sleeper", old)  # knows nothing of the move when it wakes up after it
        sleeper.catch_up()
        nodes = [*(Node(f"client{number}", old) for number in (1, 2, 3)), sleeper]
        orders = 0
        done = given_up = False
        while not (done or given_up):
            for node in nodes[:-1]:
                if chance.random() < 0.6:
                    orders += 1
                    node.order(f"a-{orders}", looks=chance.random() < 0.6)
            try:
                with mover(old_place, f"sqlite://{new_place}", chance=fate) as market:
                    if chance.random() < 0.1:
                        given_up = check_abort(market.look(), TARGET)
                        if given_up:
                            market.unseal()
                    elif (step := next_step(market.look(), TARGET)) is Step.DONE:
                        done = True
                    else:
                        market.take(step)
            except (Broken, CannotMove):
                given_up = False
                if carried_out(old)[1].moving is None and (new_place / "BTC-USD" / "log.db").exists():
                    given_up = _holds_entries(new_place)  # unsealed by the one that was killed
        for node in nodes:
            node.order(f"b-{node.name}", looks=given_up or (node is not sleeper and chance.random() < 0.6))
        names_old, state_old = carried_out(old)
        acknowledged = [name for node in nodes for name in node.done]
        with closing(SqliteLog(new_place / "BTC-USD", durable=False)) as new:
            names_new, state_new = carried_out(new)
            assert len(set(names_new)) == len(names_new)
            if done:
                assert state_old.moving == Move(MoveStep.END, TARGET)
                assert state_new.moving is None
                assert names_new == names_old  # everything, and nothing after the end
                for node in nodes:
                    node.catch_up()  # from the old log, before it is started on the new one
                    node.log, node.epoch, node.number = new, 2, 0
                    node.order(f"c-{node.name}")
                assert carried_out(new)[0] == [*names_old, *(f"c-{node.name}" for node in nodes)]
            else:
                assert state_old.moving is None
                assert [name for name in names_old if name.startswith("b-")] == [
                    f"b-{node.name}" for node in nodes
                ]
                assert names_new == [] or state_new.moving is not None  # a copy that nobody can trade on
    assert sorted(acknowledged) == sorted(names_old)


def _holds_entries(place):
    with closing(SqliteLog(place / "BTC-USD", durable=False)) as log:
        return log.last() > 0
