"""Would the tests notice? Each fault here is planted into a copy of p2pcli, and the comparison must see it.

A fault that stops being caught means that the comparison has gone blind; one that cannot be planted any
more, because its line has changed, is to be written anew for the new line.
"""

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
COMPARISON = ROOT / "tests" / "oracles" / "compared.py"
STARTED = "comparing"  # an error before that is not the comparison's

pytestmark = pytest.mark.slow


class Fault(NamedTuple):
    """One mistake: in which file, and which text becomes which."""

    file: str
    changes: tuple[tuple[str, str], ...]


def fault(file: str, *texts: str) -> Fault:
    return Fault(file, tuple(zip(texts[::2], texts[1::2], strict=True)))


BOOK, LADDER, LEVEL = "book/book.py", "book/ladder.py", "book/level.py"
DESK, RULES, MACHINE, MEMORY = "node/desk.py", "node/rules.py", "node/machine.py", "node/memory.py"
REMEMBERED = "node/remembered.py"

FAULTS = {
    "taker's price is used": fault(
        DESK,
        "                            price = maker.place.price\n",
        "                            price = command.price\n",
    ),
    "taker's price is used under conditions": fault(
        RULES,
        "            Fill(trade, maker.place.price,",
        "            Fill(trade, maker.place.price + (len(makers) > 1),",
    ),
    "newest order at a price fills first": fault(
        BOOK, "there.queue.append(order)", "there.queue.insert(there.head, order)"
    ),
    "cancel lets the last order take the free place": fault(
        BOOK,
        "            order.remaining = -order.remaining\n",
        "            order.remaining = -order.remaining\n"
        "            at = level.queue.index(order)\n"
        "            level.queue[at], level.queue[-1] = level.queue[-1], order\n",
    ),
    "sweeping loses an order": fault(
        LEVEL, "self.queue = list(self.orders())", "self.queue = list(self.orders())[1:]"
    ),
    "withdrawn orders are not counted": fault(
        BOOK, "level.gone = gone = level.gone + 1", "gone = level.gone + 1"
    ),
    "sweeping turns the queue round": fault(
        LEVEL, "self.queue = list(self.orders())", "self.queue = list(self.orders())[::-1]"
    ),
    "best price is stale after a cancel": fault(LADDER, "if price == self.best:", "if price == -2:"),
    "better price is not noticed": fault(
        LADDER, "            self.best = price\n", "            self.best = min(price, self.best, key=abs)\n"
    ),
    "next best price is skipped": fault(
        LADDER, "self.best = near[-1] * self._sign", "self.best = near[0] * self._sign"
    ),
    "equal prices do not cross": fault(
        BOOK, "(other := self.asks).best > price", "(other := self.asks).best >= price"
    ),
    "worse price is taken": fault(
        BOOK,
        "if (other.best < price) if place.side else (other.best > price):",
        "if other.best in (-1, 1 << 62):",
    ),
    "maker that gave a part keeps it": fault(
        BOOK, "                            maker.remaining = held - wanted\n", ""
    ),
    "withdrawn order trades": fault(
        BOOK,
        "                        if held > 0:\n",
        "                        if (held := abs(held)):\n",
    ),
    "sum of a price is told again after a cancel": fault(
        LEVEL, "len(self.queue), self.head, self.gone,", "len(self.queue), self.head, 0,"
    ),
    "sum of a price is told again after a trade": fault(
        LEVEL, "self.gone, self.queue[self.head].remaining", "self.gone, 0"
    ),
    "sum of a price is told again after an amend": fault(
        BOOK, "            level.told = None\n", "            pass\n"
    ),
    "far price lies in the wrong pile": fault(
        LADDER, "at = bisect_right(self._fences, rank)", "at = bisect_right(self._fences, rank) - 1"
    ),
    "price that comes back is there twice": fault(
        LADDER, "in dict.fromkeys(self.prices) if", "in self.prices if"
    ),
    "price that went far away is found again": fault(LADDER, "        pile.left += 1\n", ""),
    "fence stays where the pile was": fault(
        LADDER, "        self._fence = self._fences[-1] if", "        self._fence = self._fence if"
    ),
    "nearer half is piled up": fault(
        LADDER,
        "for rank in near[:half]]\n        del near[:half]\n",
        "for rank in near[half:]]\n        del near[half:]\n",
    ),
    "wrong end of a pile comes near": fault(
        LADDER, "sorted(prices, reverse=self._sign < 0)", "sorted(prices, reverse=self._sign > 0)"
    ),
    "halves of a pile change places": fault(
        LADDER, "[len(prices) // 2, len(prices)]", "[len(prices) // 3, len(prices) // 2]"
    ),
    "filled order stays cancellable": fault(
        BOOK, "                    del level.owner.orders[level.id]\n", ""
    ),
    "fill or kill fills in part": fault(
        RULES, "place.tif is _FOK and takes < wanted:", "place.tif is _FOK and not takes:"
    ),
    "killed fill or kill removes own orders": fault(
        RULES,
        "                return Arrival(_EXPIRED, wanted, _NO_FILLS, _NONE_REMOVED)\n",
        "                _ = [book.cancel(account, each.id) for each in own]\n"
        "                return Arrival(_EXPIRED, wanted, _NO_FILLS, _NONE_REMOVED)\n",
    ),
    "immediate or cancel rests": fault(
        RULES,
        "book.place(number, account, place, wanted, moment, rests)",
        "book.place(number, account, place, wanted, moment, place.price > 0)",
    ),
    "post-only trades": fault(
        RULES, "self._crossing(number, place.side, place.price) if place.post_only else None", "None"
    ),
    "amend of post-only trades": fault(RULES, "if refused is None and place.post_only:", "if False:"),
    "amend keeps the place for more": fault(
        RULES,
        "if price == place.price and wanted <= order.remaining:",
        "if price == place.price and not order.filled < 0:",
    ),
    "amend for less loses the place": fault(
        RULES, "if price == place.price and wanted <= order.remaining:", "if wanted < 0:"
    ),
    "amend to the filled part leaves nothing resting": fault(
        RULES, "        if quantity <= filled:", "        if quantity < filled:"
    ),
    "amend counts without the filled part": fault(
        RULES, "        wanted = quantity - filled", "        wanted = quantity"
    ),
    "amended order gets a new id": fault(
        RULES,
        "instrument, number, account, place, wanted, order.moment",
        "instrument, number + 1000, account, place, wanted, order.moment",
    ),
    "repeated id is carried out again": fault(
        DESK,
        "        return Repeated(first.sequence, first.outcome)\n",
        "        RULES[type(command)](self, instrument, account, command)\n"
        "        return Repeated(first.sequence, first.outcome)\n",
    ),
    "reused id is matched before it is refused": fault(
        DESK,
        "            return Refused(Reason.ID_REUSED)\n",
        "            RULES[type(command)](self, instrument, account, command)\n"
        "            return Refused(Reason.ID_REUSED)\n",
    ),
    "retry of an amend is taken for a new one": fault(
        DESK, "        if first is None:\n", "        if first is None or 'Amend' in str(type(command)):\n"
    ),
    "known id is taken for a new one": fault(
        DESK, "remember(command_id, number) == number", "remember(command_id, number)"
    ),
    "an id is forgotten one too early": fault(
        MEMORY, "self._ids - requests[0].ids >= limit", "self._ids - requests[0].ids >= limit - 1"
    ),
    "id of an open order is forgotten": fault(
        MEMORY, "for number in placed if number in opened]", "for number in ()]"
    ),
    "an id means an older order than it was last given to": fault(
        MEMORY,
        "self.answers.get(command_id) or self.older.get(command_id)",
        "self.answers.get(command_id) or self.kept.get(command_id) or self.older.get(command_id)",
    ),
    "first answer of an order that traded at once is that of one that did not": fault(
        DESK, "account.orders[number].memo = self._answered(command, notes, count)", "pass"
    ),
    "first answer of an amended order is that of the new one": fault(
        RULES, "            account.orders[number].memo = first\n", "            pass\n"
    ),
    "first answer is looked for in the request before": fault(MEMORY, "key=_first) - 1]", "key=_first) - 2]"),
    "answer is that of the command before": fault(
        REMEMBERED, "            return at, (number,", "            return max(0, at - 1), (number,"
    ),
    "retry is compared without its options": fault(
        DESK,
        "        if first.command != command:\n",
        "        if repr(first.command)[:48] != repr(command)[:48]:\n",
    ),
    "foreign order is cancelled": fault(
        RULES,
        "        order = self.book.cancel(account, number)\n",
        "        account = next((a for a in self.accounts.values() if number in a.orders), account)\n"
        "        order = self.book.cancel(account, number)\n",
    ),
    "orders are cancelled in the order of a set": fault(
        RULES, "sorted(account.orders)", "map(int, {str(each) for each in account.orders})"
    ),
    "self-trade is not noticed": fault(BOOK, "if maker.owner is not owner:", "if maker.owner:"),
    "cancel-both leaves the resting order": fault(
        BOOK,
        "if self_trade is not SelfTrade.CANCEL_NEWEST:",
        "if self_trade is SelfTrade.CANCEL_OLDEST:",
    ),
    "cancel-newest trades on": fault(
        BOOK,
        "if self_trade is not SelfTrade.CANCEL_OLDEST:",
        "if self_trade is SelfTrade.CANCEL_BOTH:",
    ),
    "trade number is skipped": fault(
        RULES, "self.last_trade + len(makers)", "self.last_trade + len(makers) + (len(makers) > 2)"
    ),
    "refused order takes no id": fault(
        RULES,
        "        refused = self._objection(instrument, account, place, number)\n",
        "        refused = self._objection(instrument, account, place, number)\n"
        "        self.last_order -= refused is not None\n",
    ),
    "halted market trades": fault(
        RULES,
        "        if self.halted:\n            return Refused(Reason.HALTED, number)\n        if instrument",
        "        if instrument",
    ),
    "band is one tick too wide": fault(
        RULES, "if lowest <= price <= highest:", "if lowest <= price <= highest + 1:"
    ),
    "one open order too many": fault(
        RULES, "len(account.orders) >= instrument", "len(account.orders) > instrument"
    ),
    "snapshot lists orders by id": fault(
        MACHINE,
        "orders = list(desk.book.orders())",
        "orders = sorted(desk.book.orders(), key=lambda order: order.id)",
    ),
    "snapshot forgets the ids": fault(MACHINE, "            account.memory.restore(known.requests)\n", ""),
    "snapshot forgets that the market is halted": fault(
        MACHINE,
        "desk.rule(state.instrument.checked(), state.halted)",
        "desk.rule(state.instrument.checked(), False)",
    ),
}


@pytest.fixture(scope="session")
def copy(tmp_path_factory) -> Path:
    """Return a folder with a copy of p2pcli that may be spoilt."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "p2pcli", folder / "p2pcli", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(folder / "p2pcli", quiet=2)  # once, and not in every process
    return folder


def compare(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, str(COMPARISON)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_comparison_finds_nothing_wrong_with_the_machine_as_it_is(copy):
    done = compare(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("planted", FAULTS.values(), ids=FAULTS)
def test_planted_fault_is_caught(planted, copy):
    path = copy / "p2pcli" / planted.file
    right = path.read_text()
    wrong = right
    for old, new in planted.changes:
        assert wrong.count(old) == 1, f"{planted.file} has {wrong.count(old)} times: {old}"
        wrong = wrong.replace(old, new)
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
        compiled.unlink()
    try:
        path.write_text(wrong)
        done = compare(copy)
    finally:
        path.write_text(right)
    assert done.stdout.startswith(STARTED), done.stderr
    assert done.returncode, "nobody noticed"
