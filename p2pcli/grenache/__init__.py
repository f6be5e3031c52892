"""The annex of the third floor: Grenache RPC, in and out.

    any Grenache client --lookup p2px:exchange--> registry (ours or real Grapes)
            \\--POST [rid, key, payload]--> http --> envelope --> exchange --ExchangeClient--> node
    node --trades--> broadcast --POST [rid, "p2px:trades", trade]--> any Grenache service of that name

``envelope``   the three-element arrays of Grenache RPC, and gzip
``exchange``   what a payload may ask of the exchange, as commands and reads
``http``       the HTTP server that real Grenache clients call
``client``     a client of any Grenache service: request and map
``broadcast``  every trade, once and in order, to the services that want them
``process``    a node with all of that around it
"""
