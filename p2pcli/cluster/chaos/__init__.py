"""Chaos: load and faults on a real cluster, and a judge who believes neither clients nor nodes.

    plan     seed -> faults, and every client's orders                    pure
    traders* orders -> nodes; what each client was told goes to its ledger
    strikes* faults -> signals; how long until it serves again
    arena*   the cluster as both see it: addresses, pids, bringing it up, what each node has in the end
    ledger   what clients were told                                       pure
    twin     a market as one list, fed with the rows that a node exports  pure
    verdict  ledger, logs and nodes -> violations of S1 to S11            pure
    report   ledger and strikes -> counts and recovery times              pure
    run*     all of it in turn

The judge shares no code with the matching engine: expected trades come from ``twin``, the hash chain is
computed anew, and what a node has is read from its own files and answers.

Start reading at ``run``. The same seed gives the same faults and orders; how they meet is up to the
machine, so a run that found something is repeated until it is found again.
"""
