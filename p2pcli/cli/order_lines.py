"""Lines of an order file, JSON or CSV, turned into commands. Text in, values out.

```text
{"side": "buy", "quantity": "0.5", "price": "30000", "client_order_id": "a-1"}     side,quantity,price,...
{"op": "cancel", "client_order_id": "a-1"}                                          op,client_order_id,...
```

Numbers may stand in quotes or not: their text is taken as it is written, so nothing passes through
a float.

Importing one file twice must change nothing where lines carry a client order id. Place has that id
itself; cancels and amends get a command id that fingerprints the file up to their line, so that the
same line after the same lines is the same command, and anything else is another one.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

import msgspec

from p2pcli.cli.words import (
    SELF_TRADES,
    TIFS,
    did_you_mean,
    listed,
    market_named,
    order_named,
    place,
)
from p2pcli.errors import BadInput, NotFound, P2pxError
from p2pcli.market.commands import Amend, Cancel, Command, Place, Side
from p2pcli.market.instrument import MARKET_PRICE, Instrument
from p2pcli.market.names import check_client_id

MAX_LINE = 64 * 1024  # characters; an order needs about 200
EXAMPLE = 'write it like {"side": "buy", "quantity": "0.5", "price": "30000"}'
EXAMPLES = {"side": "buy", "quantity": "0.5"}
FIELDS = (
    "op",
    "side",
    "quantity",
    "price",
    "market",
    "tif",
    "post_only",
    "stp",
    "client_order_id",
    "order_id",
)
ALL_FIELDS = f"the fields are {', '.join(FIELDS)}"
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
FLAGS = {"": False, "false": False, "0": False, "no": False, "true": True, "1": True, "yes": True}
USED_BY = {
    "place": frozenset(FIELDS) - {"order_id"},
    "cancel": frozenset({"op", "market", "client_order_id", "order_id"}),
    "amend": frozenset({"op", "market", "client_order_id", "order_id", "quantity", "price"}),
}

Fields = dict[str, str]  # field name -> its text; absent and empty mean the same

_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class BadLine(BadInput):
    """A line of an order file that is no order, cancel or amend."""

    code = "bad_line"


class FileCommand(msgspec.Struct, frozen=True):
    """One line that made sense."""

    line: int  # 1, 2, 3 ... as an editor counts
    instrument: Instrument
    command: Command
    has_id: bool  # of the file's own: importing the line again changes nothing


class FileMistake(msgspec.Struct, frozen=True):
    """One line that did not."""

    line: int
    error: P2pxError


class Reader:
    """Turns lines into commands. It remembers what it has read, for the ids of cancels and amends.

    ``run`` is unique to this import: commands without an id of their own get one from it, so that a
    frame whose answer was lost can be sent again.
    """

    def __init__(self, instruments: Mapping[str, Instrument], market: str, run: str) -> None:
        self._instruments = instruments
        self._market = market
        self._run = run
        self._so_far = blake2b(digest_size=16)

    def read(self, lines: Iterable[str]) -> Iterator[FileCommand | FileMistake]:
        """Yield a command or a mistake for every line that is not empty."""
        for number, fields in fields_of(lines):
            self._so_far.update(repr(sorted(fields.items()) if isinstance(fields, dict) else fields).encode())
            if isinstance(fields, BadInput):
                yield FileMistake(number, fields)
                continue
            try:
                yield self._command(number, fields)
            except (BadInput, NotFound) as error:
                yield FileMistake(number, error)

    def _command(self, number: int, fields: Fields) -> FileCommand:
        op = _one_of("op", fields.get("op", "place"), USED_BY)
        for name in fields:
            if name not in USED_BY[op]:
                raise BadLine(
                    f"{name} does not belong to a line that would {op}",
                    hint=f"its fields are {listed(each for each in FIELDS if each in USED_BY[op])}",
                )
        if op == "place":
            instrument = market_named(self._instruments, fields.get("market", self._market))
            command = self._place(number, instrument, fields)
            return FileCommand(number, instrument, command, "client_order_id" in fields)
        instrument, order = self._order(fields)
        client_order_id = fields.get("client_order_id", "")
        # A line that names an order id is carried out each time: whoever wrote it saw the order.
        command_id = f"file-{self._so_far.hexdigest()}" if client_order_id else self._own_id(number)
        if op == "cancel":
            return FileCommand(
                number, instrument, Cancel(order, client_order_id, command_id), bool(client_order_id)
            )
        price = fields.get("price")
        return FileCommand(
            number,
            instrument,
            Amend(
                order=order,
                quantity=instrument.quantity(_needed(fields, "quantity")),
                price=instrument.price(price) if price else 0,
                client_order_id=client_order_id,
                command_id=command_id,
            ),
            bool(client_order_id),
        )

    def _place(self, number: int, instrument: Instrument, fields: Fields) -> Place:
        given = fields.get("client_order_id")
        tif, self_trade = fields.get("tif"), fields.get("stp")
        if tif:
            tif = _one_of("tif", tif, TIFS)
        if self_trade:
            self_trade = _one_of("stp", self_trade, SELF_TRADES)
        return place(
            instrument,
            SIDES[_one_of("side", _needed(fields, "side"), SIDES)],
            f"{_needed(fields, 'quantity')}@{fields.get('price', MARKET_PRICE)}",
            tif=tif,
            post_only=FLAGS[_one_of("post_only", fields.get("post_only", ""), FLAGS)],
            self_trade=self_trade,
            client_order_id=check_client_id(given) if given else self._own_id(number),
        )

    def _order(self, fields: Fields) -> tuple[Instrument, int]:
        name, client_id = fields.get("order_id"), fields.get("client_order_id")
        if bool(name) == bool(client_id):
            raise BadLine(
                "either order_id or client_order_id must say which order is meant", hint="give one of them"
            )
        if name:
            return order_named(self._instruments, name)
        return market_named(self._instruments, fields.get("market", self._market)), 0

    def _own_id(self, number: int) -> str:
        return f"{self._run}-{number}"


def fields_of(lines: Iterable[str]) -> Iterator[tuple[int, Fields | BadInput]]:
    """Yield (line number, its fields or what is wrong with it), skipping empty lines.

    The first line that is not empty decides: a brace makes it JSON lines, anything else is the
    header of a CSV. Raises ``BadLine`` for a header that names no known field.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    for number, line in numbered:
        first = line.removeprefix("\ufeff")
        if not first.lstrip().startswith("{"):
            yield from _csv_fields(_header(first), numbered)
            return
        yield number, _json_fields(first)
        for number, line in numbered:
            yield number, _json_fields(line)


def _unreadable(line: str) -> BadLine | None:
    """Return what is wrong with a line as text, whatever it says."""
    if len(line) > MAX_LINE:
        return BadLine(f"longer than {MAX_LINE} characters", hint="an order needs about 200")
    if "\ufffd" in line:  # which stands for bytes that are no text: two ids could become one
        return BadLine("not text in UTF-8", hint="save the file as UTF-8")
    return None


def _json_fields(line: str) -> Fields | BadInput:
    if unreadable := _unreadable(line):
        return unreadable
    try:
        raw = _raw_fields.decode(line)
        fields = {name: _text(name, bytes(value)) for name, value in raw.items()}
    except BadLine as error:
        return error
    except RecursionError:
        return BadLine("not a JSON object: nested too deep", hint=EXAMPLE)
    except msgspec.MsgspecError as error:
        return BadLine(f"not a JSON object: {str(error).removeprefix('JSON is malformed: ')}", hint=EXAMPLE)
    twice = next((name for name in raw if line.count(f'"{name}"') > 1 and _is_twice(line, name)), None)
    if twice is not None:
        return BadLine(f"{twice[:60]!a} is there twice", hint="keep one of them")
    unknown = next((name for name in fields if name not in FIELDS), None)
    if unknown is not None:
        return BadLine(f"no field {unknown[:60]!a}", hint=did_you_mean(unknown, FIELDS) or ALL_FIELDS)
    return {name: text for name, text in fields.items() if text}


def _is_twice(line: str, wanted: str) -> bool:
    """Return whether an object names a field twice, of which the decoder keeps the last."""
    from json import JSONDecoder  # only a line in which it may be so pays for it

    names: list[str] = []
    JSONDecoder(object_pairs_hook=lambda pairs: names.extend(name for name, _ in pairs)).decode(line)
    return names.count(wanted) > 1


def _text(name: str, raw: bytes) -> str:
    """Return a JSON value as it is written, without quotes."""
    if raw.startswith(b'"'):
        return msgspec.json.decode(raw, type=str)
    if raw in (b"null",):
        return ""
    if raw[:1] in b"{[":
        raise BadLine(f"{name[:60]} must be text or a number", hint=EXAMPLE)
    return raw.decode("ascii")


def _header(line: str) -> list[str]:
    if unreadable := _unreadable(line):
        raise BadLine(f"line 1 is {unreadable.message}", hint=unreadable.hint)
    if line.lstrip().startswith("["):
        raise BadLine("line 1 begins a JSON array", hint="write one object a line, as jq -c '.[]' FILE does")
    names = [name.strip().lower() for name in next(csv.reader([line]))]
    for name in names:
        if name not in FIELDS:
            split = re.split(r"[;\t|]", name)
            raise BadLine(
                f"line 1: the header has no field {name[:60]!a}; the fields are {listed(FIELDS)}",
                hint="separate the fields by commas"
                if len(split) > 1 and not set(split).isdisjoint(FIELDS)
                else did_you_mean(name, FIELDS) or "begin the file with a line like side,quantity,price",
            )
        if names.count(name) > 1:
            raise BadLine(f"line 1: the header names {name} twice", hint="keep one of them")
    return names


def _csv_fields(
    names: list[str], numbered: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, Fields | BadInput]]:
    for number, line in numbered:
        if unreadable := _unreadable(line):
            yield number, unreadable
            continue
        try:
            values = next(csv.reader([line], strict=True))
        except (csv.Error, StopIteration) as error:
            yield number, BadLine(f"not a line of CSV: {error}", hint="a quote that opens must close")
            continue
        if len(values) != len(names):
            yield (
                number,
                BadLine(
                    f"{len(values)} values where the header has {len(names)} fields",
                    hint=",".join(names),
                ),
            )
            continue
        pairs = ((name, value.strip()) for name, value in zip(names, values, strict=True))
        yield number, {name: value for name, value in pairs if value}


def _needed(fields: Fields, name: str) -> str:
    if name not in fields:
        raise BadLine(f"{name} is missing", hint=f"give {name}, like {EXAMPLES[name]}")
    return fields[name]


def _one_of(name: str, value: str, known: Iterable[str]) -> str:
    """Return a word in small letters, however it is written. Raises ``BadLine`` when it is none of these."""
    word = value.lower()
    if word not in known:
        words = [one for one in known if one]
        raise BadLine(f"{name} {value[:60]!a} is not one of {listed(words)}", hint=did_you_mean(word, words))
    return word
