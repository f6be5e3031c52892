"""Whether nodes agree, decided from what each one said at one sequence."""

from collections.abc import Mapping, Sequence

import msgspec

from p2pcli.cli.render.ink import Paint, harmless, plain

SHOWN_DIGEST = 16  # hex digits on screen; 64 bits tell two states apart well enough for an eye


class NodeState(msgspec.Struct, frozen=True):
    """One node's state of one market."""

    sequence: int
    digest: str


class MarketAgreement(msgspec.Struct, frozen=True):
    """One market: what most nodes say, and what each says."""

    sequence: int
    digest: str
    nodes: dict[str, NodeState]


class Agreement(msgspec.Struct, frozen=True):
    """The answer to ``p2px verify``; as JSON it is the documented shape."""

    ok: bool
    markets: dict[str, MarketAgreement]
    problems: list[str]


def compare(markets: Mapping[str, Mapping[str, tuple[int, str]]], problems: Sequence[str] = ()) -> Agreement:
    """Return whether all nodes say the same of every market, and one sentence for each that does not.

    The majority's state is taken for the market's; of equally many, the first in order of names.
    """
    found = list(problems)
    agreements = {}
    for symbol, said in markets.items():
        nodes = {name: NodeState(*state) for name, state in said.items()}
        states = [(state.sequence, state.digest) for _, state in sorted(nodes.items())]
        if not states:
            continue
        sequence, digest = max(states, key=states.count)
        agreements[symbol] = MarketAgreement(sequence, digest, nodes)
        for name, state in nodes.items():
            if state.sequence != sequence:
                found.append(f"{symbol}: {name} is at sequence {state.sequence}, the others at {sequence}")
            elif state.digest != digest:
                found.append(
                    f"{symbol}: {name} has digest {state.digest[:SHOWN_DIGEST]} at sequence {sequence},"
                    f" the others {digest[:SHOWN_DIGEST]}"
                )
    return Agreement(not found, agreements, found)


def agreement_lines(agreement: Agreement, paint: Paint = plain) -> list[str]:
    """Return the answer for people: one line a market, then every problem."""
    lines = []
    for symbol, market in agreement.markets.items():
        agree = all(
            (state.sequence, state.digest) == (market.sequence, market.digest)
            for state in market.nodes.values()
        )
        verdict = paint("agree", "good") if agree else paint("differ", "bad")
        lines.append(
            f"{symbol}  {', '.join(market.nodes)} {verdict} at sequence {market.sequence}"
            f"  digest {market.digest[:SHOWN_DIGEST]}"
        )
    lines += [f"{paint('problem', 'bad')}  {harmless(problem)}" for problem in agreement.problems]
    return lines
