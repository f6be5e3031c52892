"""The example client as a process of the cluster: a market that lives, for ``cluster up --bots N``.

A bot is not part of the exchange: it starts once the cluster is ready, yields the processor to the nodes, and
whether it runs says nothing about the cluster. It trades in its own name in every market, through whichever
node answers, and begins anew with its six first orders after every ``ROUND`` orders, so that the book of a
cluster that runs for weeks does not grow without end.
"""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec

from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.scenario import first_orders, next_order
from p2pcli.errors import P2pxError
from p2pcli.market.commands import CancelAll, Place, SelfTrade
from p2pcli.market.events import Placed
from p2pcli.market.instrument import Instrument
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import NotServing

NICE = 10
ANSWER_S = 2.0
ROUND = 100

logger = logging.getLogger(__name__)


class BotPlan(msgspec.Struct, frozen=True):
    """What a bot is told."""

    name: str  # of the bot, and of whom its orders belong to
    folder: str  # the cluster's
    interval_s: float = 10.0  # between two orders


def run(plan: BotPlan, ready: Callable[[dict[str, str]], None], stop: threading.Event) -> None:
    """Trade until ``stop``. Trouble with a node is logged, and another one is tried at the next turn."""
    os.nice(NICE)
    folder = Path(plan.folder)
    bot = Bot(ClusterFolder(folder.parent, folder.name), plan.name, Random())
    ready({})
    pause = 0.0
    while not stop.wait(pause):
        try:
            bot.turn()
        except P2pxError as error:
            logger.warning("cannot trade: %s", error.message)
            bot.hang_up()
        pause = plan.interval_s
    bot.hang_up()


class Bot:
    """One trader, with a connection to some node while that answers."""

    def __init__(self, folder: ClusterFolder, name: str, random: Random) -> None:
        self._folder = folder
        self._name = name
        self._random = random
        self._client: ExchangeClient | None = None
        self._turns = 0

    def turn(self) -> None:
        """Place the next order; at the beginning of a round, the first orders in place of all former ones."""
        client = self._client = self._client or self._connect()
        if self._turns % ROUND == 0:
            for instrument in client.instruments.values():
                client.submit(instrument.symbol, [CancelAll()])
                for place in first_orders(instrument, client.book(instrument.symbol, levels=1)):
                    self._place(client, instrument, place)
        else:
            instrument = self._random.choice(list(client.instruments.values()))
            book = client.book(instrument.symbol, levels=1)
            self._place(client, instrument, next_order(instrument, book, self._random))
        self._turns += 1

    def hang_up(self) -> None:
        """Let go of the node. Repeating it is fine."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self) -> ExchangeClient:
        """Return a connection to some node that serves. Raises ``NotServing``, or why the last one failed."""
        report = self._folder.report()
        addresses = (
            [child.addresses["rpc"] for child in report.nodes if "rpc" in child.addresses] if report else []
        )
        self._random.shuffle(addresses)
        trouble: P2pxError = NotServing("no node serves")
        for address in addresses:
            host, _, port = address.rpartition(":")
            try:
                return ExchangeClient(host, int(port), self._folder.credentials(), self._name, ANSWER_S)
            except P2pxError as error:
                trouble = error
        raise trouble

    def _place(self, client: ExchangeClient, instrument: Instrument, place: Place) -> None:
        # A bot that trades with itself says nothing about a market.
        alone = msgspec.structs.replace(place, self_trade=SelfTrade.CANCEL_OLDEST)
        answer = client.submit(instrument.symbol, [alone])
        outcome = answer.outcomes[0]
        about = {
            "market": instrument.symbol,
            "side": place.side.name.lower(),
            "quantity": instrument.quantity_text(place.quantity),
            "price": instrument.price_text(place.price) if place.price else "market",
            "node": client.node,
            "request": answer.request,
        }
        if isinstance(outcome, Placed):
            order = {
                "order": instrument.order_name(outcome.order),
                "filled": instrument.quantity_text(outcome.filled),
            }
            logger.info(outcome.status.name.lower(), extra=order | about)
        else:
            logger.info("refused", extra=about | {"why": str(outcome)})
