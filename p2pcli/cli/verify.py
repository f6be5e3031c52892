"""``p2px verify``: do all nodes agree? Exit code 1 when not."""

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.reach import NodeDown, reach, registry_addresses, strangers
from p2pcli.cli.render.agreement import agreement_lines, compare
from p2pcli.cli.verbs import Verb
from p2pcli.cluster.folder import not_running
from p2pcli.cluster.report import State
from p2pcli.errors import NotRunning, P2pxError, TimedOut
from p2pcli.node.client import ExchangeClient

TRIES = 20  # readings of a market that moves, until all nodes were read at one sequence


@click.command("verify", cls=Verb, examples=("p2px verify", "p2px verify -o json | jq .ok"))
@click.pass_obj
def verify(invocation: Invocation) -> int:
    """Compare the whole state of every node: same sequence, same digest. Exit code 1 when they differ.

    A digest covers book, orders, remembered ids and counters. Every node is asked for it at the same
    sequence; one that cannot be asked is a problem too.
    """
    report = invocation.folder.report()
    if report is None and not registry_addresses(invocation, report):
        raise not_running(invocation.folder.name)
    clients: dict[str, ExchangeClient] = {}
    problems: list[str] = []
    try:
        for child in report.nodes if report else ():
            if child.state is State.STOPPED:
                continue
            try:
                clients[child.name] = reach(invocation, child.name)
            except (NotRunning, TimedOut) as error:
                problems.append(f"{child.name}: {error.message}")
        others = strangers(invocation, report, invocation.config.client.timeout)
        clients |= others.clients
        problems += others.problems
        if not clients and not problems:
            raise not_running(invocation.folder.name)
        if not clients:
            raise NodeDown("no node answers: " + "; ".join(problems), hint="p2px cluster status")
        markets: dict[str, dict[str, tuple[int, str]]] = {}
        for symbol in next(iter(clients.values())).instruments:
            hosting = {name: client for name, client in clients.items() if symbol in client.hosts}
            markets[symbol], silent = _read_together(hosting, symbol)
            problems += silent if hosting else [f"{symbol}: no node that can be asked hosts it"]
    finally:
        for client in clients.values():
            client.close()
    result = compare(markets, problems)
    screen = invocation.screen
    if screen.is_text:
        screen.lines(agreement_lines(result, screen.paint))
    else:
        screen.document(result)
    return 0 if result.ok else 1


def _read_together(
    clients: dict[str, ExchangeClient], symbol: str
) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """Return each node's sequence and digest, all at one sequence if the market rests long enough."""
    read: dict[str, tuple[int, str]] = {}
    problems: list[str] = []
    goal = 0
    for _ in range(TRIES):
        for name, client in clients.items():
            if read.get(name, (0, ""))[0] < goal or name not in read:
                try:
                    sequence, digest = client.state_digest(symbol, goal)
                except P2pxError as error:
                    problems.append(f"{symbol} on {name}: {error.message}")
                    return read, problems
                read[name] = (sequence, digest.hex())
        if len({sequence for sequence, _ in read.values()}) == 1:
            break
        goal = max(sequence for sequence, _ in read.values())
    return read, problems
