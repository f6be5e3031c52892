"""The third floor: one exchange process, where the log and the book meet.

    client ---Submit---> server ---> committer ---append---> log
                                        |  sequence n, durable
                                        v
                                     replica (machine + book, behind one threading.Lock)
                                        |  outcomes             \\
    client <---Answer---  server <------+                        +--> distribution --Push--> peers
                                        |                             history (SQLite, background)

    client ---> session ---> forwarding ---> link ---Forward---> a peer that hosts the market

``body``, ``machine``, ``requests``, ``record`` decide; ``replica``, ``committer``, ``server``, ``session``,
``distribution``, ``links``, ``history``, ``client`` and ``process`` hold the threads, sockets and files.
``peers`` is what a node knows of the others: whom it pushes to, and whom it asks for markets it has not.
``answers`` takes what became of requests back to who asked. ``porter`` lets callers in, and machines that
join; ``permissions`` says what each may ask, ``keys`` which owners'
keys are good. ``tls_folder``, ``tokens`` and ``key_file`` are what credentials look like on the disk.

There is no applier thread. Entries reach the replica from three sides (this node's committer, a
peer's push, the log itself), and whoever holds the next one applies it under the lock. A thread in
between would cost two thread switches an order and decide nothing. The entry's place is its
sequence, so it does not matter who is first.
"""
