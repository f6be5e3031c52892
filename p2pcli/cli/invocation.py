"""What one run of p2px was told for all commands alike, and what follows from it, made when first asked."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from p2pcli.cli.screen import Screen
from p2pcli.errors import BadInput

if TYPE_CHECKING:
    from p2pcli.cluster.folder import ClusterFolder
    from p2pcli.config import Config
    from p2pcli.rpc.credentials import Credentials


TYPED = {  # what settings are called on the command line
    "key": "option --key",
    "cluster.name": "option --name",
    "client.output": "option -o/--output",
    "client.color": "option --color",
    "cluster.nodes": "option -n/--nodes",
    "cluster.bots": "option --bots",
    "cluster.host": "option --host",
    "markets": "option --market",
    "log.url": "option --log",
    "registry.grapes": "option --grape",
}


class NothingToProve(BadInput):
    """Neither the cluster's secret nor an owner's key is at hand."""

    code = "nothing_to_prove"


class Invocation:
    """The global options of one command line. Click carries it to every command as ``ctx.obj``."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.output: str | None = None  # text, json, jsonl; None: not said
        self.color: str | None = None  # auto, always, never
        self.config_file: str | None = None
        self.key_file: str | None = None
        self.cluster: str | None = None
        self.verbose = 0

    @cached_property
    def config(self) -> "Config":
        """The settings, for commands whose own options are none."""
        return self.config_with({})

    def config_with(self, flags: Mapping[str, object], typed: Mapping[str, str] = TYPED) -> "Config":
        """Return the settings with a command's own options above them. Raises ``BadInput`` kinds.

        ``typed`` says how messages call what was typed.
        """
        from p2pcli.config import load

        return load(
            Path.cwd(),
            self.environ,
            Path(self.config_file) if self.config_file else None,
            {
                "key": self.key_file,
                "cluster.name": self.cluster,
                "client.output": self.output,
                "client.color": self.color,
                **flags,
            },
            typed,
        )

    @cached_property
    def credentials(self) -> "Credentials":
        """What this run proves itself with: the key that was given, else the cluster's secret.

        Raises ``BadKeyFile``, ``NoKeyFile``, ``NothingToProve``, ``ClusterNotRunning``.
        """
        path, folder = self.config.key, self.folder
        if path is None and self.config.cluster.ca and not folder.secret_path.exists():
            raise NothingToProve(
                f"this machine does not hold the secret of cluster {folder.name}, and no key was given",
                hint="--key FILE acts as an owner; p2px node join makes a machine one of the cluster's",
            )
        if path is None:
            return folder.credentials()
        from p2pcli.node.key_file import read_key

        return read_key(path, folder.name).credentials(folder.authority() or self.config.cluster.ca)

    @cached_property
    def screen(self) -> Screen:
        """The way out for answers. Settings are read only where no option decides."""
        output, color = self.output, self.color
        if output is None or color is None:
            output, color = self.config.client.output, self.config.client.color
        return Screen(output, color, self.environ)

    def tell(self, message: str) -> None:
        """Print what ``-v`` asks to be told."""
        if self.verbose:
            self.screen.note(message)

    @cached_property
    def folder(self) -> "ClusterFolder":
        """The folder of the cluster that is meant."""
        return self.folder_of(self.config)

    def folder_of(self, config: "Config") -> "ClusterFolder":
        """Return the folder of the cluster that these settings mean."""
        from p2pcli.cluster.folder import ClusterFolder

        return ClusterFolder(config.home, config.cluster.name)
