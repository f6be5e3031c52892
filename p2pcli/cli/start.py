"""The first step of ``p2px``: from here on Ctrl-C ends it without a traceback, also while it is imported.

Importing Click takes most of the time that a command takes, so that is where an early Ctrl-C falls.
"""

import signal


def main() -> int:
    """Run the command line of this process and return its exit code."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # not where whoever started us had it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from p2pcli.cli.main import main as run

    signal.signal(signal.SIGINT, before)
    return run()
