"""``p2px keys``: who may trade as whom."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import node_option
from p2pcli.cli.render.ink import harmless
from p2pcli.cli.render.quantities import moment
from p2pcli.cli.render.table import Cell, Column, Table
from p2pcli.cli.trader import Trader
from p2pcli.cli.verbs import Group
from p2pcli.errors import BadInput, NotFound, P2pxError
from p2pcli.market.commands import GrantKey, RevokeKey
from p2pcli.market.names import check_owner
from p2pcli.market.refusals import CommandRefused
from p2pcli.market.views import KeyView
from p2pcli.node.key_file import VERSION, OwnerKey, key_file_exists, write_key
from p2pcli.node.roaming import new_id
from p2pcli.rpc.credentials import owner_key, secret_id

ID_BYTES = 8

keys = Group("keys", help="Who may trade as whom: create, list, grant and revoke owners' keys.")


class NoSuchKey(NotFound):
    """No market knows a key of that id."""

    code = "no_such_key"


class NotTheOperator(BadInput):
    """The command takes the cluster's secret, and a key was given instead."""

    code = "not_the_operator"


class PartlyDone(P2pxError):
    """Some markets have carried out the command, others have not yet."""

    code = "partly_done"


@keys.command("create", examples=("p2px keys create ann", "p2px keys create ann --out /etc/bot/ann.key"))
@click.argument("owner", metavar="OWNER")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Where to write it: OWNER.key.")
@node_option
@click.pass_obj
def create(invocation: Invocation, owner: str, out: str | None, node: str | None) -> None:
    """Make a key for OWNER and write it into a file.

    Whoever has the file trades as that owner, and only so: p2px --key FILE order buy ... It takes effect
    in every market of the cluster, at every node.
    """
    check_owner(owner)
    path = Path(out or f"{owner}.key")
    if path.exists():
        raise key_file_exists(path)
    key_id = secrets.token_hex(ID_BYTES)
    secret = _operator(invocation)
    _in_every_market(invocation, node, GrantKey(key_id, owner, new_id()), "granted")
    cluster = invocation.folder.name
    key = owner_key(secret, owner, key_id).hex()
    write_key(path, OwnerKey(VERSION, cluster, owner, key_id, key, secret_id(secret)))
    screen = invocation.screen
    if screen.is_text:
        screen.note(f"key {key_id} of {owner} is in {path}; whoever can read that trades as {owner}")
        screen.note(f"try: p2px order ls --key {path}")
    else:
        screen.document({"id": key_id, "owner": owner, "file": str(path)})


@keys.command("ls", examples=("p2px keys ls", "p2px keys ls -o json"))
@node_option
@click.pass_obj
def ls(invocation: Invocation, node: str | None) -> None:
    """List the keys that were granted, and whether they are good."""
    _operator(invocation)
    known = list(_known(invocation, node).values())
    found = [key.view for key in known]
    screen = invocation.screen
    if screen.is_text:
        columns = (Column("KEY"), Column("OWNER"), Column("GRANTED"), Column("STATE"))
        rows: list[tuple[str | Cell, ...]] = [
            (harmless(key.id), harmless(key.owner), moment(key.granted_ns), _state(key)) for key in found
        ]
        screen.table(Table(columns, rows, empty="no key was granted"))
        if missing := sorted({symbol for key in known if not key.view.revoked_ns for symbol in key.missing}):
            screen.note(f"some of them are not good in {', '.join(missing)}, which was added later")
            screen.hint("p2px keys grant")
    else:
        screen.objects(
            {
                "id": key.id,
                "owner": key.owner,
                "granted_ns": key.granted_ns,
                "revoked_ns": key.revoked_ns or None,
                "state": _state(key),
                "missing": [] if key.revoked_ns else missing,
            }
            for key, missing in known
        )


@keys.command("grant", examples=("p2px keys grant", "p2px keys grant 5f3a9c01d2e4a7b8"))
@click.argument("key_id", metavar="[ID]", required=False)
@node_option
@click.pass_obj
def grant(invocation: Invocation, key_id: str | None, node: str | None) -> None:
    """Make keys good in markets that were added after them: the key ID, or all.

    Keys that were revoked stay so. Repeating it changes nothing.
    """
    _operator(invocation)
    known = _known(invocation, node)
    if key_id is not None and key_id not in known:
        raise no_such_key(key_id)
    wanted = [key for key in known.values() if key_id in (None, key.view.id)]
    if key_id is not None and wanted[0].view.revoked_ns:
        raise CommandRefused(
            f"key {key_id} was revoked, for good", hint=f"p2px keys create {harmless(wanted[0].view.owner)}"
        )
    given = [key for key in wanted if key.missing and not key.view.revoked_ns]
    for key in given:
        command = GrantKey(key.view.id, key.view.owner, new_id())
        _in_every_market(invocation, node, command, "granted", key.missing)
    _revoke_again(invocation, node, given)
    screen = invocation.screen
    if not screen.is_text:
        screen.objects({"id": key.view.id, "owner": key.view.owner, "markets": key.missing} for key in given)
        return
    for key in given:
        screen.lines(
            [f"key {harmless(key.view.id)} of {harmless(key.view.owner)} is good in {', '.join(key.missing)}"]
        )
    if not given:
        screen.note("every key is good in every market already")


def _revoke_again(invocation: Invocation, node: str | None, given: "list[Known]") -> None:
    """Take back what was granted of keys that somebody revoked meanwhile in the other markets."""
    if not given:
        return
    now = _known(invocation, node)
    for key in given:
        if now[key.view.id].view.revoked_ns:
            _in_every_market(invocation, node, RevokeKey(key.view.id, new_id()), "revoked", key.missing)


@keys.command("revoke", examples=("p2px keys revoke 5f3a9c01d2e4a7b8",))
@click.argument("key_id", metavar="ID")
@node_option
@click.pass_obj
def revoke(invocation: Invocation, key_id: str, node: str | None) -> None:
    """Take a key back, for good.

    From then on no node carries out a command that it proved; its connections are cut. Orders that rest
    stay: cancel them by id, or with --all --owner OWNER.
    """
    _operator(invocation)
    found = _known(invocation, node).get(key_id)
    if found is None:
        raise no_such_key(key_id)
    known = found.view
    _in_every_market(invocation, node, RevokeKey(key_id, new_id()), "revoked")
    screen = invocation.screen
    if screen.is_text:
        screen.note(f"key {key_id} of {harmless(known.owner)} is revoked")
    else:
        screen.document({"id": key_id, "owner": known.owner, "state": "revoked"})


def _operator(invocation: Invocation) -> bytes:
    """Return the cluster's secret, without which there is nothing to do here."""
    if invocation.config.key is not None:
        raise NotTheOperator(
            "an owner's key makes, shows and revokes no keys: that takes the cluster's secret",
            hint="leave --key out (and P2PX_KEY), on a machine of the cluster",
        )
    return invocation.folder.newest_secret()


class Known(NamedTuple):
    """A key, and the markets that do not know it."""

    view: KeyView
    missing: list[str]


def _known(invocation: Invocation, node: str | None = None) -> dict[str, Known]:
    """Return every key that some market knows, by id; one that is revoked in any is."""
    found: dict[str, KeyView] = {}
    markets: dict[str, set[str]] = {}
    with Trader(invocation, node) as trader:
        symbols = list(trader.client.instruments)
        for symbol in symbols:
            for key in trader.client.keys(symbol):
                markets.setdefault(key.id, set()).add(symbol)
                if key.id not in found or key.revoked_ns:
                    found[key.id] = key
    return {
        key.id: Known(key, [symbol for symbol in symbols if symbol not in markets[key.id]])
        for key in found.values()
    }


def is_key_missing(invocation: Invocation) -> bool:
    """Say whether some key is good and yet unknown in some market."""
    return any(key.missing and not key.view.revoked_ns for key in _known(invocation).values())


def no_such_key(key_id: str) -> NoSuchKey:
    """Return the error for an id that is none."""
    return NoSuchKey(f"no market knows a key {key_id[:60]!a}", hint="p2px keys ls")


def _in_every_market(
    invocation: Invocation,
    node: str | None,
    command: GrantKey | RevokeKey,
    done: str,
    symbols: Sequence[str] | None = None,
) -> None:
    """Carry out a command in each market, or in these; what is missing in one is told, to be repeated."""
    missing: list[P2pxError] = []
    with Trader(invocation, node) as trader:
        every = trader.client.instruments
        instruments = [every[symbol] for symbol in symbols or every]
        for instrument in instruments:
            try:
                trader.carry_out(instrument, command)
            except CommandRefused as error:
                if isinstance(command, RevokeKey):
                    continue  # a market that never knew it: it is refused there anyway
                missing.append(error)
            except P2pxError as error:
                missing.append(error)
    if missing:
        raise PartlyDone(
            f"the key is {done} in {len(instruments) - len(missing)} of {len(instruments)} markets: "
            + missing[0].message,
            hint="repeat it once every market serves",
        )


def _state(key: KeyView) -> str:
    return "revoked" if key.revoked_ns else "good"
