"""``p2px completion``: the script that lets a shell complete commands, options, nodes, markets and orders."""

import click
from click.shell_completion import get_completion_class

from p2pcli.cli.invocation import Invocation
from p2pcli.cli.verbs import Verb

INSTALL = {
    "bash": 'eval "$(p2px completion bash)"      # in ~/.bashrc',
    "zsh": 'eval "$(p2px completion zsh)"       # in ~/.zshrc',
    "fish": "p2px completion fish > ~/.config/fish/completions/p2px.fish",
}


@click.command("completion", cls=Verb, examples=tuple(INSTALL.values()))
@click.argument("shell", metavar="SHELL", type=click.Choice(list(INSTALL)))
@click.pass_obj
def completion(invocation: Invocation, shell: str) -> None:
    """Print the completion script for SHELL."""
    from p2pcli.cli.main import COMPLETION, p2px

    kind = get_completion_class(shell)
    assert kind is not None, f"Click completes for {shell}"
    invocation.screen.lines([kind(p2px, {}, "p2px", COMPLETION).source()])
