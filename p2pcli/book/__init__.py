"""The first floor: price-time priority. Orders in, fills out; no ids given, no owners checked, no text.

``level``     one order, and the queue of orders at one price
``ladder``    one side: its prices in order, best at hand
``book``      two ladders and the matching (start reading here)

    Book -- bids: Ladder -- levels {rank: Level} -- queue [Order, Order, ...]    first come, first filled
         -- asks: Ladder -- near [ranks], best last; far [piles of prices]        near ones in order
         -- owners {name: {id: Order}}

Everything is an ``int``: ticks and lots. Values that only readers want are made when they read.
``benchmarks/book.py`` measures this floor beside published designs; every trick says at its place what
it saves.
"""
