"""The supervisor's process: ``python -m p2pcli.cluster HOME NAME``, started by up.py with a plan on stdin.

The name ``__main__`` matters: multiprocessing imports a spawned child's main module again unless it has
this name, and the children have no use for what the supervisor imports.
"""

import os
import sys

if __name__ == "__main__":
    # The launcher waits for a first process that ends at once, so that nobody has to reap the second.
    # Nothing but the interpreter is there to be copied yet.
    if os.fork():
        os._exit(0)
    from p2pcli.cluster.daemon import main

    main(sys.argv[1], sys.argv[2])
