"""The fourth floor: several processes as one. Started, watched, restarted and stopped together.

    p2px cluster up                          one session of its own
    up* ---- plan on stdin, birth on stdout ---> daemon* -> supervisor*        <home>/<name>/
     |                                             |  crew* - supervision        lock, plan.json,
     +------- control socket (requests) -> door* --+  |  |  |                    state.json, secret,
    control*                                          |  |  +-- pulse*, probe*   logs/ data/ ...
                                                      |  +-- process*            (folder*)
                                        spawn, lifeline: news
                                                      v
                                       child* -> program* -> run(plan, ready, stop) of a node or member

``supervision`` decides about one child, ``crew`` does it to processes, ``supervisor`` is the loop around
them: start reading there. ``plan`` and ``report`` are what goes in and what is shown; ``planning`` makes
the plan from settings, ``briefing`` tells each process its part, ``ports`` finds what nobody has,
``status`` merges the supervisor's word with the nodes', ``logs`` reads what they all wrote, ``backup``
writes the log into one file and back, and ``chaos`` breaks things on purpose.

Decisions, and what was left:

- **The lock decides, never a pid.** The supervisor holds ``lock``, each child ``children.lock`` (shared),
  for as long as they live. So a stale or reused pid means nothing, of several ``up`` one wins, and a new
  supervisor waits until the last child of a killed one is gone.
- **Children die with the supervisor**, by PDEATHSIG and a lifeline (child.py). Adopting them again was
  left: it needs believable pids, and everything here recovers from its log anyway.
- **One thread, one selector** in the supervisor. Nothing is locked; health checks, the only thing that
  waits, have threads that only send datagrams.
- **The control socket carries datagrams** (SOCK_SEQPACKET), so no half message can make the loop wait, and
  JSON, never a pickle as ``multiprocessing``'s own connections do.
- **The first start is strict**: a child that ends before everything serves fails ``up`` with its last
  words, and all is stopped. Later it is restarted, with delays that double.
- **Ports and names are kept** in plan.json, so addresses that others remember stay true.
"""
