"""A supervisor in miniature, to be killed: spawns one child of trial_program.py and prints its pid.

python orphan_maker.py HOME NAME PLAN_FILE
"""

import sys
import threading
from pathlib import Path

from p2pcli.cluster.process import ChildProcess

if __name__ == "__main__":
    child = ChildProcess(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_bytes())
    print(child.pid, flush=True)
    threading.Event().wait()
