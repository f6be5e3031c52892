"""Who a node is to its peers, and how it calls them."""

import msgspec

from p2pcli.node.keyring import Keyring
from p2pcli.node.requests import Greeting, decode_greeting
from p2pcli.rpc.auth import ROLE_PEER
from p2pcli.rpc.handshake import dial
from p2pcli.rpc.tcp import Connection, ConnectionLost

DIAL_S = 2.0

Address = tuple[str, int]


class Introduction(msgspec.Struct, frozen=True):
    """What a node says of itself when it calls another one."""

    name: str
    cluster: str
    keyring: Keyring
    port: int  # where it listens

    def call(self, address: Address) -> tuple[Connection, Greeting]:
        """Return a connection to a peer and what the peer says of itself.

        Raises what ``dial`` raises, and ``ConnectionLost`` for one that is no peer of this node.
        """
        connection, introduction, raw = dial(
            *address,
            self.keyring.credentials,
            role=ROLE_PEER,
            caller=self.name,
            caller_port=self.port,
            timeout=DIAL_S,
        )
        if introduction.cluster != self.cluster or introduction.node == self.name:
            connection.release()
            raise ConnectionLost(f"{connection.address} is no peer: it is {introduction.node}")
        try:
            return connection, decode_greeting(raw)
        except msgspec.MsgspecError as error:
            connection.release()
            raise ConnectionLost(f"{connection.address} greets in a way unknown here: {error}") from error
