"""How answers look: pure functions from views and outcomes to text and JSON documents.

``ink``         styles, and text that cannot drive a terminal
``quantities``  what several rooms say alike: times, ages, an order in words
``table``       rows and columns, aligned as plain text
``documents``   the JSON shapes that programs may rely on
``orders``      what became of an order, line by line
``refusals``    why a command was refused, and what would have been valid
``ladder``      a book: asks above bids, the spread between
``tape``        trades, one a line

A function that colours takes ``paint``; ``ink.plain`` leaves text as it is, ``ink.ansi`` colours it.
"""
