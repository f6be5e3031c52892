"""How peers find each other: a drop-in Grape in Python, on stdlib sockets.

A member answers two kinds of callers. Programs ask its HTTP API who announced a service; other members, ours
or real Grapes, ask it over UDP. Together the members are a distributed hash table (Kademlia), so what is
announced at one is found at every other::

    Grenache client --HTTP--> http_api* -> http1 -> hosts, grape --+
                                                                   | requests, answers (operations)
    process* (loop, clock, folder*) ----------------------------> member
                                                                   | packets
    other members  --UDP---> udp*  -> krpc, bencode ---------------+

    member      one DHT node without its socket: time and packets in, packets and answers out
      door      queries of others: who may ask how much     -> replies, tokens, announced, items
      tasks     requests of ours under way                  -> search, lookup, queries, remembered
      routing   contacts in buckets;  limits: rates, and who has been silent;  lost: who was too long
    client*     asks an HTTP API, ours or a real Grape's

Starred rooms touch the outside world; all others are given time and chance. Start reading at ``member``.

Decisions:

- Keys are the raw bytes of a name, not a hash, because real Grapes do it so (``node_id``).
- One thread and one epoll: no state needs a lock, and an idle member sleeps.
- Node id and token secret survive restarts. A real Grape that restarts makes its neighbours' announces fail
  for minutes.
- Own announces are kept here as well (``keep_own``), so that a member alone is useful; a real Grape alone
  refuses them.
- Nobody waits 2 s for a silent member, and strangers never get more than three times what they sent.
"""
