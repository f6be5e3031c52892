"""How answers look: pure functions from views and outcomes to text.

``ink``         styles and colour
``quantities``  what several rooms say alike: times, ages, an order in words
``table``       rows and columns, aligned as plain text
``orders``      what became of an order, line by line
``results``     what became of each line of an imported file
``ladder``      a book: asks above bids, the spread between
``tape``        trades, one a line
``markets``, ``node``, ``processes``, ``agreement``, ``records``   what those commands show

The JSON documents and the words of a refusal are on the ground floor (``market/documents``,
``market/refusals``), because Grenache callers get the same ones. A function that colours takes
``paint``; ``ink.plain`` leaves text as it is, ``ink.ansi`` colours it.
"""
