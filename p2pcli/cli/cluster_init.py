"""``p2px cluster init``: the certificates of a cluster that others than this machine reach."""

from collections.abc import Sequence
from pathlib import Path

import click

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.verbs import Verb
from p2pcli.clock import now_ns
from p2pcli.cluster.cluster_file import cluster_file
from p2pcli.cluster.control import Control
from p2pcli.cluster.folder import ClusterFolder, ClusterNotRunning
from p2pcli.config import Config
from p2pcli.errors import Conflict
from p2pcli.node.tls_folder import TlsFolder
from p2pcli.rpc.certificates import fingerprint
from p2pcli.rpc.exposure import own_addresses


class FileDiffers(Conflict):
    """A file is there already and says something else."""

    code = "file_differs"


class RunsWithoutTls(Conflict):
    """A cluster that runs on plain TCP cannot be given a CA meanwhile."""

    code = "runs_without_tls"


@click.command(
    "init",
    cls=Verb,
    examples=(
        "p2px cluster init --host 10.0.0.1 --out cluster.yaml",
        "p2px cluster init --host 0.0.0.0 --log etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379",
    ),
)
@click.option("--host", metavar="ADDRESS", help="Address that the nodes on this machine listen at.")
@click.option("--log", metavar="URL", help="Where the shared log is: sqlite, or etcd://HOST:PORT,...")
@click.option(
    "--market", "markets", multiple=True, metavar="BASE/QUOTE", help="A market to trade; repeat for more."
)
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write the cluster file there.")
@click.pass_obj
def init(
    invocation: Invocation, host: str | None, log: str | None, markets: Sequence[str], out: str | None
) -> None:
    """Make a cluster's folder with its secret and its CA, and print its cluster file.

    From then on its nodes speak TLS and may listen at any address. The cluster file tells other machines
    and clients the rest: addresses, log, markets and the CA's certificate. It holds no secret. Repeating
    this changes nothing that is there.
    """
    config = invocation.config_with({"cluster.host": host, "log.url": log, "markets": tuple(markets)})
    folder, screen = invocation.folder_of(config), invocation.screen
    authority = TlsFolder(folder.tls)
    if out is not None:  # before anything is made; a CA that is not there yet is in no file
        _check_same(out, _text(config, folder.authority()))
    if not authority.authority():
        _check_stopped(folder)
    folder.prepare()
    is_new = authority.found(folder.name, now_ns() // 10**9)
    certificate = folder.authority()  # two, while one is being replaced
    text = _text(config, certificate)
    if out is not None:
        Path(out).write_text(text)
    said = "has a CA now" if is_new else "had a CA already"
    screen.note(f"cluster {folder.name} {said}; its key and the cluster's secret are in {folder.path}")
    which = "its certificate" if certificate == authority.authority() else "the old and the new certificate"
    screen.note(f"SHA-256 of {which}: {fingerprint(certificate)}")
    if out is not None and screen.is_text:
        screen.note(f"next: p2px cluster up -f {out}")
    elif screen.is_text:
        screen.lines(text.splitlines())
    if not screen.is_text:
        screen.document(
            {
                "cluster": folder.name,
                "folder": str(folder.path),
                "is_new": is_new,
                "fingerprint": fingerprint(certificate),
                "file": out,
                "text": text,
            }
        )


def _check_stopped(folder: ClusterFolder) -> None:
    """Raise ``RunsWithoutTls`` when nodes run that would not understand their callers any more."""
    try:
        Control(folder).close()
    except ClusterNotRunning:
        return
    raise RunsWithoutTls(
        f"cluster {folder.name} is running without TLS; with a CA here, its nodes could not be reached",
        hint=f"p2px cluster down --name {folder.name}, and then init and up",
    )


def _text(config: Config, certificate: str) -> str:
    return cluster_file(config, certificate, own_addresses())


def _check_same(out: str, text: str) -> None:
    """Raise ``FileDiffers`` when the file is there and is another one."""
    path = Path(out)
    if path.exists() and path.read_text(errors="replace") != text:
        raise FileDiffers(
            f"{out} is there already and is not what this would write",
            hint="choose another --out, or move it away first",
        )
