"""One side of a book, summed by price: what a person calls market depth."""

import msgspec


class Level(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All resting orders of one side at one price."""

    price: int  # ticks
    quantity: int  # lots, the sum of what remains
    orders: int  # how many


class Depth(msgspec.Struct, frozen=True, array_like=True):
    """Both sides, best price first."""

    bids: list[Level]
    asks: list[Level]

    @property
    def spread(self) -> int | None:
        """Return best ask minus best bid in ticks, or None while a side is empty."""
        if not self.bids or not self.asks:
            return None
        return self.asks[0].price - self.bids[0].price
