"""Every rule of the market as a story, told in tests/scenarios, to the machine and to its naive twin."""

from pathlib import Path

import pytest
from driven import DEFINE, Driven
from naive import NaiveMarket
from scenario import command, definition, lines, steps

from p2pcli.market.commands import Place
from p2pcli.market.events import Placed, Refused, Status
from p2pcli.market.views import OrderView

SCENARIOS = sorted((Path(__file__).parents[1] / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_comes_out_as_written(path):
    story = steps(path)
    define = definition(story.pop(0).text, DEFINE) if story[0].text.startswith("market") else DEFINE
    driven, twin = Driven(define), NaiveMarket(define)
    for step in story:
        match step.text.split():
            case ["book"]:
                comes = [_line(view) for view in driven.machine.full_book()]
            case ["order", number]:
                comes = [_state(driven.machine.order(int(number)))]
            case _:
                owner, asked = command(step.text)
                outcome = driven.do(owner, asked)
                comes = lines(outcome)
                if isinstance(outcome, Placed | Refused) and isinstance(asked, Place) and outcome.order:
                    assert step.text.split()[1] == str(outcome.order), f"{step.place}: another id"
                # The twin forgets no id, so where forgetting is the story it is not asked.
                if define.remembered_ids == DEFINE.remembered_ids:
                    assert outcome == twin.do(owner, asked, driven.machine.sequence), step.place
        assert comes == step.comes, f"{step.place}: {step.text}"


def test_every_rule_has_a_scenario():
    told = {path.stem.partition("_")[0] for path in SCENARIOS}
    assert {f"m{number:02d}" for number in range(1, 14)} <= told


def _line(view: OrderView) -> str:
    return f"{('bid', 'ask')[view.side]} {view.remaining} @ {view.price} order {view.order}"


def _state(view: OrderView | None) -> str:
    assert view is not None
    status = Status(view.status).name.lower().replace("_", "-")
    return f"{status} filled {view.filled} remaining {view.remaining} of {view.quantity}"
