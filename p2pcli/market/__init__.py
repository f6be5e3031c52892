"""The ground floor: what is traded, what is asked and what happened, as plain values.

``instrument``  a market's tick, lot, maxima and rules; the one room where decimal text meets integers
``commands``    what a client may ask: place, cancel, amend, cancel all, halt, resume, define
``events``      what the machine answers: one outcome per command, with its fills
``depth``       one side of a book summed by price
``views``       whole records, as readers are shown them
``documents``   the JSON shapes that programs may rely on
``refusals``    why a command was refused, in words and decimals

Inside, every price is a whole number of ticks and every quantity a whole number of lots, always
``int``. The values are msgspec structs encoded as MessagePack arrays, so that one type serves the
wire, the log and the book, and no layer copies fields into a type of its own. (Rejected: frozen
dataclasses beside wire structs. They cost a copy per order on every floor and a place to forget a
field.) A field is only ever added at the end, with a default: older bytes then still decode.
"""
