"""When to leave a failing peer alone: pybreaker's circuit, with time as a parameter.

pybreaker's ``call()`` holds its lock while the guarded function runs (measured: 8 threads of 0.1 s
each took 0.80 s) and times by the wall clock. So the send happens outside it: the owner asks
``before_call(now)``, acts, and reports the outcome; pybreaker counts and keeps the state.
"""

import pybreaker

from p2pcli.errors import P2pxError

_NEVER_BY_ITSELF = 10**9  # seconds; this room decides when an open circuit may be tried, by `now`


class CircuitOpen(P2pxError):
    """The peer failed too often; it is left alone until the reset time has passed."""

    code = "circuit_open"


class Breaker:
    """One peer's circuit: closed, open after ``fail_max`` failures in a row, half-open for one trial.

    Owned by one thread; any may look and ``reset``. ``reset_after`` is in seconds, ``now`` on the
    monotonic clock.
    """

    def __init__(self, name: str, fail_max: int, reset_after: float) -> None:
        self.name = name
        self.reset_after = reset_after
        self._opened_at = 0.0
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=fail_max,
            reset_timeout=_NEVER_BY_ITSELF,
            throw_new_error_on_trip=False,
            name=name,
        )

    @property
    def state(self) -> str:
        """Return ``closed``, ``open`` or ``half-open``."""
        return str(self._circuit.current_state)

    @property
    def failures(self) -> int:
        """Return the failures in a row so far."""
        return int(self._circuit.fail_counter)

    def before_call(self, now: float) -> None:
        """Raise ``CircuitOpen`` while the peer is to be left alone; let one trial through after that."""
        if self.state != "open":
            return
        wait = self._opened_at + self.reset_after - now
        if wait > 0:
            raise CircuitOpen(f"peer {self.name} failed {self.failures} times, next trial in {wait:.1f} s")
        self._circuit.half_open()

    def on_success(self) -> None:
        """Report that the peer took what was sent; a half-open circuit closes."""
        self._circuit.call(_nothing)

    def on_failure(self, error: Exception, now: float) -> None:
        """Report a failure; the circuit opens at the limit, or at once when it was half-open."""
        try:
            self._circuit.call(_raise, error)
        except (type(error), pybreaker.CircuitBreakerError):
            pass
        if self.state == "open":
            self._opened_at = now

    def reset(self) -> None:
        """Close the circuit by hand."""
        self._circuit.close()


def _nothing() -> None:
    return None


def _raise(error: Exception) -> None:
    raise error
