"""``p2px cluster token``: what lets another machine join, for a while."""

from collections.abc import Iterator

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.options import as_seconds
from p2pcli.cli.render.quantities import moment
from p2pcli.cli.render.table import Cell, Column, Table
from p2pcli.cli.verbs import Group
from p2pcli.clock import now_ns
from p2pcli.cluster.folder import ClusterFolder, not_running
from p2pcli.errors import BadInput
from p2pcli.node.tls_folder import TlsFolder
from p2pcli.node.tokens import MAX_LIFETIME_S, Made, Tokens
from p2pcli.rpc.certificates import fingerprint
from p2pcli.rpc.exposure import ANY, own_addresses

NS = 10**9

token = Group("token", help="Let other machines join a cluster: create, list and revoke join tokens.")


class NoAuthority(BadInput):
    """The CA's key is not on this machine, so no token can be made here."""

    code = "no_authority"


@token.command("create", examples=("p2px cluster token create", "p2px cluster token create --expires 10m"))
@click.option(
    "--expires",
    callback=as_seconds,
    default="1h",
    show_default=True,
    metavar="TIME",
    help="How long it is good.",
)
@click.pass_obj
def create(invocation: Invocation, expires: float) -> None:
    """Print a join token: one line that makes a machine one of this cluster.

    The machine that shows it is given the cluster's secret, so pass it on like a password. It is good for
    any number of machines until it expires or is revoked.
    """
    if not 1 <= expires <= MAX_LIFETIME_S:
        raise BadInput(
            f"option --expires: a token is good for 1 second to {MAX_LIFETIME_S // 86_400} days",
            hint="p2px cluster token create --expires 1h",
        )
    folder, tls = _signing(invocation)
    now = now_ns() // NS
    made = Tokens(tls.tokens_path).create(
        folder.newest_secret(),
        folder.name,
        list(_addresses(folder)),
        fingerprint(folder.authority()),
        now + int(expires),
        now,
    )
    screen = invocation.screen
    if screen.is_text:
        screen.lines([made.text])
        screen.note(f"join token {made.id} is good until {moment(made.expires * NS)}; keep it secret")
        screen.note(f"there: p2px node join --cluster-file FILE --token {made.text[:14]}...")
    else:
        screen.document({"id": made.id, "expires": made.expires, "token": made.text})


@token.command("ls", examples=("p2px cluster token ls",))
@click.pass_obj
def ls(invocation: Invocation) -> None:
    """List the join tokens that were made on this machine."""
    _, tls = _signing(invocation)
    now, screen = now_ns() // NS, invocation.screen
    made = Tokens(tls.tokens_path).ls()
    if screen.is_text:
        columns = (Column("TOKEN"), Column("EXPIRES"), Column("STATE"))
        rows: list[tuple[str | Cell, ...]] = [
            (one.id, moment(one.expires * NS), _state(one, now)) for one in made
        ]
        screen.table(Table(columns, rows, empty="no join token was made here"))
    else:
        screen.objects({"id": one.id, "expires": one.expires, "state": _state(one, now)} for one in made)


@token.command("revoke", examples=("p2px cluster token revoke 5f3a9c01d2e4a7b8",))
@click.argument("token_id", metavar="ID")
@click.pass_obj
def revoke(invocation: Invocation, token_id: str) -> None:
    """Let nobody join with a token any more. Machines that joined with it stay."""
    _, tls = _signing(invocation)
    Tokens(tls.tokens_path).revoke(token_id)
    screen = invocation.screen
    if screen.is_text:
        screen.note(f"join token {token_id} is revoked")
    else:
        screen.document({"id": token_id, "state": "revoked"})


def _signing(invocation: Invocation) -> tuple[ClusterFolder, TlsFolder]:
    """Return the folder of a cluster whose CA's key is here. Raises ``NoAuthority``."""
    folder = invocation.folder
    tls = TlsFolder(folder.tls)
    if not tls.can_sign:
        raise NoAuthority(
            f"the CA's key of cluster {folder.name} is not on this machine",
            hint="make tokens on the machine that has it; p2px cluster init makes a CA where there is none",
        )
    return folder, tls


def _addresses(folder: ClusterFolder) -> Iterator[str]:
    """Yield where the nodes of this machine can be asked. Raises ``ClusterNotRunning``."""
    report = folder.report()
    rpc = [child.addresses["rpc"] for child in report.nodes if "rpc" in child.addresses] if report else []
    if not rpc:
        raise not_running(folder.name)
    for address in rpc:
        host, _, port = address.rpartition(":")
        hosts = own_addresses() or ["127.0.0.1"] if host == ANY else [host]
        yield from (f"{one}:{port}" for one in hosts)


def _state(made: Made, now: int) -> str:
    if made.revoked:
        return "revoked"
    return "expired" if made.expires <= now else "good"
