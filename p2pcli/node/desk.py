"""Where a market's commands are carried out: whose they are, whether they were answered, and by which rule.

Deterministic: what it answers follows from the commands before and from nothing else. The time and the
sequence it is given come from the log. It trusts nobody: whoever checked a command before, it is checked
again here, because a log outlives the programs that wrote it. What becomes of a command is in ``rules``.
"""

from collections import OrderedDict

from p2pcli.book.level import Moment
from p2pcli.market.commands import (
    MAX_ID_LENGTH,
    Cancel,
    Command,
    Place,
)
from p2pcli.market.events import (
    Outcome,
    Placed,
    Reason,
    Refused,
    Repeated,
)
from p2pcli.market.notes import EACH, HEAD, Notes
from p2pcli.node.remembered import MAX_TOGETHER, Remembered, Request, ids_of
from p2pcli.node.rules import ALLOW, GTC, RULES, Account, Rules

MAX_OWNERS = 10_000  # known at once; of more, the longest silent one without open orders is forgotten


class Desk(Rules):
    """One market with its owners and what it remembers of each."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: OrderedDict[str, Account] = OrderedDict()  # by name, the longest silent first

    def __del__(self) -> None:
        # Owners and their orders know each other, and the garbage collector does not see orders.
        for account in self.accounts.values():
            account.orders.clear()

    def carry_out(self, owner: str, commands: list[Command], now: Moment, key: str = "") -> Notes:
        """Carry out one owner's commands in turn and return the notes of what became of them.

        ``key`` is the id of the key that proved the owner: none of its commands is looked at unless it is
        good at this very place in the log, whatever the node knew that took them.
        """
        if key and not self.keys.admits(key, owner):
            return [Refused(Reason.KEY_REFUSED) for _ in commands]
        if len(owner) > MAX_ID_LENGTH:
            return [Refused(Reason.ID_TOO_LONG, 0, [len(owner), MAX_ID_LENGTH])] * len(commands)
        if len(commands) <= MAX_TOGETHER:
            return self._carry_out(owner, commands, now)
        notes: Notes = []
        for start in range(0, len(commands), MAX_TOGETHER):
            notes += self._carry_out(owner, commands[start : start + MAX_TOGETHER], now)
        return notes

    def _carry_out(self, owner: str, commands: list[Command], now: Moment) -> Notes:
        """Carry out what is remembered as one request.

        Written out for what nearly every command is, an order without conditions or the cancel of one: a call
        costs 50 ns, a tenth of what this adds to the book. Everything else is judged further down.
        """
        notes: Notes = []
        self._now = now
        account = self._account(owner)
        memory = account.memory
        answers, older, kept = memory.answers, memory.older, memory.kept
        remember = answers.setdefault
        known = len(answers)
        place, cancel = self.book.place, self.book.cancel
        note = notes.append
        request = Request(now.sequence, self.last_order + 1, 0, 0, commands, notes)
        trades_before, prices, lots = self.last_trade, self._prices, self._lots
        most, dearest, usual_mode = self._calm
        for command in commands:
            if type(command) is Place:
                quantity = command.quantity
                command_id = command.client_order_id
                if (
                    0 < quantity <= most
                    and 0 < command.price <= dearest
                    and command.tif is GTC
                    and not command.post_only
                    and ((mode := command.self_trade) is usual_mode or mode is ALLOW)
                    and len(command_id) <= MAX_ID_LENGTH
                ):
                    number = self.last_order + 1
                    # A forgotten id is new, though it may be there. The last look also gives it its place.
                    is_new = command_id not in older and command_id not in kept
                    if not command_id or (
                        (is_new or memory.first(command_id, request) is None)
                        and remember(command_id, number) == number
                    ):
                        self.last_order = number
                        trades = place(number, account, command, quantity, now)
                        if trades is None:
                            note(number)
                            continue
                        makers, part, left = trades
                        count = len(makers)
                        notes += (-number, count, left, self.last_trade + 1, part)
                        self.last_trade += count
                        if count > 1:
                            prices.append(makers[0].place.price)
                        for maker in makers:
                            price = maker.place.price
                            notes += (price, maker.remaining, maker.id, maker.owner.name)
                        self.last_price = price
                        prices.append(price)
                        lots.append(quantity - left)
                        if left and command_id:  # it rests, and does not tell what it was answered
                            account.orders[number].memo = self._answered(command, notes, count)
                        continue
            elif type(command) is Cancel and command.order and not command.command_id:
                order = cancel(account, command.order)
                if order is not None:
                    remaining = abs(order.remaining)
                    note(order.place.quantity - remaining)
                    note(remaining)
                    continue
            note(self._answer(account, command, request))
            most, dearest, usual_mode = self._calm  # it may have changed the rules
        if prices:
            self._tell_tally(self.last_trade - trades_before)
        self._remember(account, request, len(answers) - known)
        return notes

    def _answered(self, place: Place, notes: Notes, makers: int) -> Remembered:
        return Remembered(place, self._now.sequence, notes[-HEAD - EACH * makers :])

    def _tell_tally(self, trades: int) -> None:
        self.tally.add(self._now.time_ns, self._prices, sum(self._lots), trades)
        self._prices.clear()
        self._lots.clear()

    def _remember(self, account: Account, request: Request, ids: int) -> None:
        if ids == 0:
            return
        assert self.instrument is not None, "nothing is answered before"
        request.last, request.ids = self.last_order, ids
        account.memory.keep(request)
        account.memory.forget(self.instrument.remembered_ids)

    def _answer(self, account: Account, command: Command, request: Request) -> Outcome:
        """Carry out any command, unless its id was answered before (M7)."""
        instrument = self.instrument
        if instrument is None:
            return self._before_all(command)
        command_id, longest = ids_of(command)
        if not command_id:
            return RULES[type(command)](self, instrument, account, command)
        if len(longest) > MAX_ID_LENGTH:
            return Refused(Reason.ID_TOO_LONG, 0, [len(longest), MAX_ID_LENGTH])
        memory = account.memory
        first = memory.first(command_id, request)
        if first is None:
            outcome = RULES[type(command)](self, instrument, account, command)
            remembered = Remembered(command, self._now.sequence, [outcome])
            if type(command) is not Place:
                memory.note(command_id, remembered)
                return outcome
            memory.answers[command_id] = number = self.last_order
            if isinstance(outcome, Placed) and outcome.remaining and (outcome.fills or outcome.removed):
                account.orders[number].memo = remembered
            return outcome
        if first.command != command:
            return Refused(Reason.ID_REUSED)
        return Repeated(first.sequence, first.outcome)

    def _account(self, owner: str) -> Account:
        accounts = self.accounts
        account = accounts.get(owner)
        if account is not None:
            accounts.move_to_end(owner)
            return account
        if len(accounts) >= MAX_OWNERS:
            # Two looks for each newcomer: owners with open orders pass, so that others never outnumber them.
            for _ in range(2):
                silent, account = accounts.popitem(last=False)
                if not account.orders:
                    break
                accounts[silent] = account
        account = accounts[owner] = Account(owner)
        return account
