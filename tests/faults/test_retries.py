"""Every request sent one to five times, through different nodes, late and out of order."""

import random
import signal
import threading

import pytest
from herd import MARKET, violations

from p2pcli.cluster.chaos.traders import Routes
from p2pcli.market.commands import Amend, Place, Side
from p2pcli.market.events import Amended, Repeated

pytestmark = pytest.mark.slow


def sendings(seed: int, count: int):
    """Return (command, node) pairs: a few orders and what happens to them, each several times, shuffled."""
    chance = random.Random(seed)
    planned = []
    for number in range(count):
        name = f"r{seed}-{number}"
        side = chance.choice(list(Side))
        commands = [Place(side, 10, 10_000 + chance.randint(-2, 2), client_order_id=name)]
        commands += [Amend(0, chance.randint(1, 15), 0, name, f"{name}-{word}") for word in "AB"]
        for turn, command in enumerate(commands):
            for _ in range(chance.randint(1, 5)):
                planned.append((number + turn + chance.expovariate(0.3), command, chance.randrange(3)))
    return [(command, node) for _, command, node in sorted(planned, key=lambda each: each[0])]


def test_requests_that_are_repeated_anywhere_take_effect_once(herd, rounds):
    herd.start_all()
    arena = herd.arena()
    senders = [Routes("ann", MARKET, arena.credentials, arena.places) for _ in range(4)]
    planned = sendings(1, 60 * rounds)

    def send(place: int) -> None:
        for command, node in planned[place :: len(senders)]:
            senders[place].tell(command, node)

    threads = [threading.Thread(target=send, args=(place,)) for place in range(len(senders))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sender in senders:
        sender.close()
    tellings = [telling for sender in senders for telling in sender.tellings]
    assert sum(isinstance(telling.outcome, Repeated) for telling in tellings) > len(planned) / 2
    assert violations(arena, tellings) == []


def test_an_amend_that_arrives_again_after_another_one_changes_nothing(herd):
    herd.start_all()
    place = Place(Side.SELL, 10, 10_000, client_order_id="order")
    to_eight, to_six = Amend(0, 8, 0, "order", "A"), Amend(0, 6, 0, "order", "B")
    with herd.client("client1") as one, herd.client("client2") as two, herd.client("client3") as three:
        one.submit(MARKET, [place])
        first = two.submit(MARKET, [to_eight])
        assert isinstance(first.outcomes[0], Amended)
        three.submit(MARKET, [to_six])
        again = one.submit(MARKET, [to_eight])
        assert again.outcomes == [Repeated(first.sequence, first.outcomes[0])]
        (order,) = one.orders(MARKET)
    assert order.quantity == 6


def test_a_repeat_is_known_after_every_node_was_killed(herd):
    herd.start_all()
    place = Place(Side.SELL, 10, 10_000, client_order_id="order")
    with herd.client("client1") as client:
        first = client.submit(MARKET, [place])
    herd.end_all(signal.SIGKILL)
    herd.start_all()
    with herd.client("client3") as client:
        assert client.submit(MARKET, [place]).outcomes == [Repeated(first.sequence, first.outcomes[0])]
