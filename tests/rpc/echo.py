"""A node that greets and echoes: the far end of the connections that these tests make."""

import ssl
import threading

from p2pcli.errors import P2pxError
from p2pcli.rpc.credentials import Credentials
from p2pcli.rpc.frame import framed
from p2pcli.rpc.handshake import welcome
from p2pcli.rpc.tcp import Connection, Listener

CREDENTIALS = Credentials(b"s" * 32)
GREETING = b"\xa5hello"


class EchoNode:
    """A listener that greets each caller and echoes its payloads, each connection in a thread."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.listener = Listener("127.0.0.1", 0)
        self.errors: list[P2pxError] = []
        self.ended = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        while (sock := self.listener.accept()) is not None:
            thread = threading.Thread(target=self._serve, args=(Connection(sock),))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            welcome(connection, CREDENTIALS, "node1", "default", GREETING, self.context)
            for payloads in connection.receive():
                connection.send(b"".join(framed(payload) for payload in payloads))
        except P2pxError as error:
            self.errors.append(error)
        finally:
            connection.release()
            self.ended.release()

    def close(self) -> None:
        self.listener.close()
        self._acceptor.join()
        for thread in self._threads:
            thread.join()
