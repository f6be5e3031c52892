"""How a machine becomes one of a cluster: it shows a join token, and keeps what it is given.

token ──► nodes it names ──► secret, CA, certificate ──► this machine's folder of the cluster
"""

from p2pcli.cluster.folder import ClusterFolder
from p2pcli.errors import Conflict, NotRunning, TimedOut
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import Enrolled
from p2pcli.node.tls_folder import TlsFolder, write_private
from p2pcli.node.tokens import Token, read_token
from p2pcli.rpc.certificates import new_request
from p2pcli.rpc.exposure import hosts_of
from p2pcli.rpc.handshake import ask_authority

ANSWER_S = 10.0  # of each node that is asked


class WrongCluster(Conflict):
    """This machine belongs to another cluster of that name, or the token is for one of another name."""

    code = "wrong_cluster"


class NobodyEnrols(NotRunning):
    """No node that the token names could be asked."""

    code = "nobody_enrols"


def enrol(token: str, name: str, host: str, folder: ClusterFolder) -> None:
    """Make this machine one of the token's cluster, with a certificate for node ``name`` at ``host``.

    Afterwards ``folder`` holds the secret, the CA's certificate and the node's own with its key, each with
    mode 0600. Enrolling again, or another name, is fine. Raises ``BadToken``, ``WrongCluster``,
    ``TokenRefused``, ``NobodyEnrols``, and whatever else a node refuses with; nothing is kept then.
    """
    shown = read_token(token)
    if shown.cluster != folder.name:
        raise WrongCluster(
            f"the token is for cluster {shown.cluster}, not for {folder.name}",
            hint=f"add --name {shown.cluster}",
        )
    pair = new_request(name)
    given = _asked(shown, name, hosts_of(name, host), pair.certificate)
    if folder.secret_path.exists() and folder.secret() != given.secret:
        raise WrongCluster(
            f"{folder.path} belongs to another cluster that is called {folder.name} as well",
            hint=f"p2px cluster down --wipe --name {folder.name} deletes that one, or set P2PX_HOME",
        )
    write_private(folder.secret_path, given.secret.hex())
    folder.prepare()
    tls = TlsFolder(folder.tls)
    tls.trust(given.authority)
    tls.keep(name, given.certificate, pair.key)


def _asked(token: Token, name: str, hosts: list[str], request: str) -> Enrolled:
    """Ask one node after another until one can be reached."""
    silent: list[str] = []
    for address in token.addresses:
        host, _, port = address.rpartition(":")
        try:
            authority = ask_authority(host, int(port), token.fingerprint, ANSWER_S)
            with ExchangeClient(host, int(port), token.credentials(authority), timeout=ANSWER_S) as node:
                return node.enrol(name, hosts, request)
        except (NotRunning, TimedOut, ValueError) as error:
            silent.append(str(error))
    raise NobodyEnrols(
        f"no node that the token names answers: {'; '.join(silent)}",
        hint="is the cluster running, and are its ports open to this machine?",
    )
