"""Tokens: proof that who stores something with us has received a packet at the address it sends from.

A token depends on the IP address and on a secret that changes every five minutes; the one before is still
accepted, so a token is good for 5 to 10 minutes. The secrets are derived from one master secret and the
number of the five-minute period on the wall clock: a member that restarts with its folder goes on accepting
the tokens it gave out before. (A real Grape that restarts refuses them, and every re-announce of a known key
fails for minutes.)
"""

import hmac
from hashlib import sha1

PERIOD_S = 300
SECRET_BYTES = 20


class Tokens:
    """Gives out and checks tokens. Times are wall-clock seconds."""

    def __init__(self, master: bytes) -> None:
        self._master = master
        self._period = -1
        self._given: dict[tuple[int, str], bytes] = {}  # period, host -> token; cleared every period

    def give(self, host: str, wall_s: float) -> bytes:
        """Return the 20-byte token for ``host``."""
        return self._token(int(wall_s // PERIOD_S), host)

    def accepts(self, token: bytes, host: str, wall_s: float) -> bool:
        """Tell whether ``token`` was given to ``host`` in this period or the one before."""
        period = int(wall_s // PERIOD_S)
        return hmac.compare_digest(token, self._token(period, host)) or hmac.compare_digest(
            token, self._token(period - 1, host)
        )

    def _token(self, period: int, host: str) -> bytes:
        if period > self._period or len(self._given) > 2048:
            self._period = period
            self._given.clear()
        token = self._given.get((period, host))
        if token is None:
            secret = sha1(b"%b:%d" % (self._master, period)).digest()
            token = self._given[period, host] = sha1(host.encode() + secret).digest()
        return token
