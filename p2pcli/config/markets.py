"""The markets of a configuration: entries with texts become instruments in ticks and lots. Pure."""

from collections.abc import Mapping
from typing import Any

from p2pcli.config.layers import BadSetting, Layer, unknown
from p2pcli.config.settings import MARKETS, MARKETS_SETTING, Row, Setting, section_settings
from p2pcli.config.tree import Sequence, Table, Text, Tree, described
from p2pcli.config.values import SYMBOL
from p2pcli.market.instrument import MAX_MARKETS, BadInstrument, Instrument, units_of, units_text

_FIELDS = {"symbol": Setting(SYMBOL, "BTC/USD", "BASE/QUOTE"), **section_settings("market_defaults")}
_HINT = "write it like markets: [BTC/USD, {symbol: ETH/USD, tick: 0.05}]"


def instruments(layer: Layer, defaults: Mapping[str, Row]) -> tuple[tuple[Instrument, ...], list[Row]]:
    """Return a layer's markets, numbered from 1, and the origin of each of their fields.

    ``defaults`` are the rows of ``market_defaults`` by field. Raises ``BadSetting``.
    """
    tree = layer.values[MARKETS]
    if not isinstance(tree, Sequence) or not tree.items:
        found = "an empty list" if isinstance(tree, Sequence) else described(tree)
        raise BadSetting(
            f"{layer.about(MARKETS, tree.line)}: expected a list of markets, found {found}", _HINT
        )
    if len(tree.items) > MAX_MARKETS:
        layer.refuse(
            MARKETS, tree, MARKETS_SETTING, f"expected at most {MAX_MARKETS}, found {len(tree.items)}"
        )
    rows: list[Row] = []
    built: dict[str, Instrument] = {}
    for number, item in enumerate(tree.items, start=1):
        entry = _Entry(layer, number, item, defaults)
        instrument = entry.instrument()
        if instrument.symbol in built:
            raise BadSetting(
                f"{layer.about(MARKETS, item.line)}: {instrument.symbol} is there twice",
                hint="keep one of them",
            )
        built[instrument.symbol] = instrument
        rows += entry.rows
    return tuple(built.values()), [Row(MARKETS, ", ".join(built), layer.origin(MARKETS)), *rows]


class _Entry:
    """One market being read: each field from its entry, or else from the defaults."""

    def __init__(self, layer: Layer, number: int, tree: Tree, defaults: Mapping[str, Row]) -> None:
        self._layer = layer
        self._number = number
        self._tree = tree
        self._given = self._fields(tree)
        self.values: dict[str, Any] = {}
        self.rows: list[Row] = []
        for name, setting in _FIELDS.items():
            key = f"{MARKETS}.{number}.{name}"
            if name in self._given:
                field = self._given[name]
                self.values[name] = layer.read(key, setting, field)
                text = getattr(field, "text", "")
                self.rows.append(Row(key, text, layer.place(MARKETS, field.line)))
            else:
                self.values[name] = setting.kind.read(defaults[name].text)  # type: ignore[union-attr]
                self.rows.append(Row(key, defaults[name].text, defaults[name].origin))

    def instrument(self) -> Instrument:
        """Return the market in ticks and lots. Raises ``BadSetting``."""
        values = self.values
        tick, lot = units_of("tick", values["tick"]), units_of("lot", values["lot"])
        try:
            return Instrument(
                symbol=values["symbol"],
                number=self._number,
                tick=tick,
                lot=lot,
                max_price=self._steps("max_price", "tick", tick),
                max_quantity=self._steps("max_quantity", "lot", lot),
                self_trade=values["self_trade"],
                price_band=values["price_band"],
                max_open_orders=values["max_open_orders"],
                remembered_ids=values["remembered_ids"],
            ).checked()
        except BadInstrument as error:
            raise BadSetting(
                f"{self._layer.place(MARKETS, self._tree.line)}: {error.message}",
                error.hint or "max_price is at least one tick, max_quantity at least one lot",
            ) from None

    def _fields(self, tree: Tree) -> dict[str, Tree]:
        place = self._layer.place(MARKETS, tree.line)
        if isinstance(tree, Text):
            return {"symbol": tree}
        if not isinstance(tree, Table):
            raise BadSetting(
                f"{place}: markets: expected a symbol or a mapping, found {described(tree)}", _HINT
            )
        for name in tree.entries:
            if name not in _FIELDS:
                where = self._layer.place(MARKETS, tree.lines[name])
                raise unknown(where, f"{MARKETS}.{self._number}.{name}", self._keys())
        if "symbol" not in tree.entries:
            raise BadSetting(f"{place}: markets: entry {self._number} has no symbol", _HINT)
        return tree.entries

    def _keys(self) -> list[str]:
        return [f"{MARKETS}.{self._number}.{name}" for name in _FIELDS]

    def _steps(self, name: str, step_name: str, step: int) -> int:
        """Return a maximum in ticks or lots; an inherited one is rounded down to a whole step."""
        steps, rest = divmod(units_of(name, self.values[name]), step)
        if rest and name in self._given:
            near = units_text(steps * step) if steps else units_text(step)
            raise BadSetting(
                f"{self._layer.place(MARKETS, self._given[name].line)}: {MARKETS}.{self._number}.{name}: "
                f"expected a multiple of the {step_name} {units_text(step)}, found {self.values[name]}",
                hint=f"the nearest is {near}",
            )
        return steps
