"""Why a command was refused, in decimals, and what would have been valid."""

from p2pcli.errors import P2pxError, harmless
from p2pcli.market.commands import Amend, Cancel, Command, Place, Side
from p2pcli.market.events import Reason, Refused
from p2pcli.market.instrument import Instrument
from p2pcli.market.views import OrderView


class CommandRefused(P2pxError):
    """The market answered, and the answer is no: the command changed nothing and never will."""

    code = "refused"
    reason = "unknown_order"  # of the market's reasons in small letters, such as price_band: for programs


class OrderClosed(CommandRefused):
    """The order left the book before."""

    code = "order_closed"


class ForeignOrder(CommandRefused):
    """The order belongs to another owner (rule M8)."""

    code = "foreign_order"


def refusal(instrument: Instrument, command: Command, refused: Refused, owner: str) -> CommandRefused:
    """Return the refusal as an error that says what was asked, what stood against it and what to do."""
    message, hint = _words(instrument, command, refused, harmless(owner))
    error = CommandRefused(message, hint=hint)
    error.reason = refused.reason.name.lower()
    return error


def not_open(instrument: Instrument, view: OrderView, owner: str) -> CommandRefused | None:
    """Return why ``owner`` cannot change this order; None when that is not to be seen from it.

    The market itself may not tell: to it foreign, closed and unknown orders look alike (M8).
    """
    name = instrument.order_name(view.order)
    if view.owner != owner:
        return ForeignOrder(
            f"order {name} belongs to {harmless(view.owner)}, not to {harmless(owner)}",
            hint=f"leave --node out, or say --node {harmless(view.owner)}",
        )
    if view.status.is_open:
        return None
    return OrderClosed(f"order {name} is already {view.status.name.lower()}", hint=f"p2px order show {name}")


def _words(instrument: Instrument, command: Command, refused: Refused, owner: str) -> tuple[str, str | None]:
    symbol, numbers = instrument.symbol, refused.numbers
    match refused.reason:
        case Reason.NOT_DEFINED:
            return f"market {symbol} has no rules yet", "p2px market ls"
        case Reason.HALTED:
            return f"market {symbol} is halted: only cancels are taken", f"p2px market resume {symbol}"
        case Reason.QUANTITY_RANGE:
            return _out_of_range("quantity", [instrument.quantity_text(n) for n in numbers], numbers, symbol)
        case Reason.PRICE_RANGE:
            return _out_of_range("price", [instrument.price_text(n) for n in numbers], numbers, symbol)
        case Reason.PRICE_BAND:
            return _outside_band(instrument, numbers)
        case Reason.WOULD_TRADE:
            return _would_trade(instrument, command, numbers)
        case Reason.POST_ONLY_TAKES:
            return (
                "a post-only order rests or does nothing, so it cannot be ioc, fok or at market",
                "leave --post-only out, or give a price and --tif gtc",
            )
        case Reason.TOO_MANY_OPEN:
            return (
                f"{owner} has {numbers[0]} open orders in {symbol}, the maximum is {numbers[1]}",
                f"p2px order ls --node {owner}",
            )
        case Reason.UNKNOWN_ORDER:
            return f"{_order_named(instrument, command)} is not an open order of {owner}", "p2px order ls"
        case Reason.ID_REUSED:
            return (
                f"{_id_named(command)} was used before, with other content",
                "choose another id, or repeat the first command unchanged to get its answer again",
            )
        case Reason.ID_TOO_LONG:
            return f"{_id_named(command)} has {numbers[0]} characters, the maximum is {numbers[1]}", None
        case Reason.DUPLICATE_ORDER:
            return f"order id {instrument.order_name(refused.order)} was used before", None
        case Reason.INSTRUMENT_FIXED:
            return f"tick, lot, symbol and number of {symbol} cannot change any more", "p2px market ls"
        case Reason.KEY_REFUSED:
            return (
                f"the key of {owner} was revoked, or never granted in {symbol}",
                "p2px keys grant, by whoever holds the cluster's secret, if the market is newer than it; "
                f"else p2px keys create {owner}",
            )
        case Reason.KEY_TAKEN:
            return f"the id of the key is another owner's in {symbol}, or was revoked", "p2px keys ls"
        case Reason.UNKNOWN_KEY:
            return f"{symbol} knows no key of that id", "p2px keys ls"
        case Reason.TOO_MANY_KEYS:
            return f"{symbol} has {numbers[0]} keys, which is the maximum", "p2px keys revoke ID"
        case Reason.BAD_INSTRUMENT:
            return f"the definition of {symbol} is out of range", "p2px config show"


def _out_of_range(what: str, shown: list[str], numbers: list[int], symbol: str) -> tuple[str, str | None]:
    given, maximum = shown
    if numbers[0] > numbers[1]:
        return (
            f"{what} {given} is above the maximum {maximum} of {symbol}",
            f"the largest valid {what} is {maximum}",
        )
    return f"{what} must be above zero, not {given}", f"the largest valid {what} of {symbol} is {maximum}"


def _outside_band(instrument: Instrument, numbers: list[int]) -> tuple[str, str | None]:
    given, lowest, highest = (instrument.price_text(n) for n in numbers)
    near = highest if numbers[0] > numbers[2] else lowest
    band = f"the band {lowest} to {highest} around the last trade of {instrument.symbol}"
    return (
        f"price {given} is outside {band}",
        f"the nearest price allowed now is {near}",
    )


def _would_trade(instrument: Instrument, command: Command, numbers: list[int]) -> tuple[str, str | None]:
    best = instrument.price_text(numbers[0])
    match command:
        case Place(side=Side.BUY):
            return (
                f"the post-only order would trade at once: the best ask is {best}",
                f"bid below {best}, or leave --post-only out",
            )
        case Place():
            return (
                f"the post-only order would trade at once: the best bid is {best}",
                f"ask above {best}, or leave --post-only out",
            )
        case _:
            return (
                f"the amended post-only order would trade at once: the best opposite price is {best}",
                "the order stays as it was; choose a price on its own side of the book",
            )


def _order_named(instrument: Instrument, command: Command) -> str:
    match command:
        case Cancel(order=order, client_order_id=client_id) | Amend(order=order, client_order_id=client_id):
            if order:
                return f"order {instrument.order_name(order)}"
            return f"client order id {client_id!a}"
        case _:
            return "the order"


def _id_named(command: Command) -> str:
    match command:
        case Place(client_order_id=client_id):
            return f"client order id {client_id!a}"
        case _:
            return f"command id {command.command_id!a}" if hasattr(command, "command_id") else "the id"
