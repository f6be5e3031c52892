"""How a machine becomes one of a cluster: it shows a join token, and keeps what it is given.

token ──► nodes it names ──► secret, CA, certificate ──► this machine's folder of the cluster
"""

from p2pcli.cluster.folder import ClusterFolder
from p2pcli.errors import Conflict, NotRunning, TimedOut
from p2pcli.node.client import ExchangeClient
from p2pcli.node.requests import Enrolled
from p2pcli.node.rotating import MachineKeys
from p2pcli.node.rotation import next_tls
from p2pcli.node.tls_folder import TlsFolder, write_private
from p2pcli.node.tokens import Token, read_token
from p2pcli.rpc.certificates import new_request
from p2pcli.rpc.credentials import secret_id
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
    if folder.secret_path.exists() and not _is_same_cluster(folder.secret(), given):
        raise WrongCluster(
            f"{folder.path} belongs to another cluster that is called {folder.name} as well",
            hint=f"p2px cluster down --wipe --name {folder.name} deletes that one, or set P2PX_HOME",
        )
    _keep(folder, name, given, pair.key)


def _keep(folder: ClusterFolder, name: str, given: Enrolled, key: str) -> None:
    """Write what was given. Broken off anywhere, enrolling again completes it."""
    tls, newer = TlsFolder(folder.tls), TlsFolder(next_tls(folder.tls))
    keys = MachineKeys(folder.secret_path, folder.tls)
    if given.next_authority:
        newer.trust(given.next_authority)
        newer.keep(name, given.next_certificate, key)
    else:
        keys.forget_next()
    if given.rotation is not None:
        keys.keep(given.rotation)
    write_private(folder.secret_path, given.secret.hex())
    folder.prepare()
    tls.trust(given.authority)
    tls.keep(name, given.certificate, key)


def _is_same_cluster(secret: bytes, given: Enrolled) -> bool:
    """Say whether a machine's secret is one that the cluster has or had."""
    rotation = given.rotation
    if secret == given.secret or rotation is None:
        return secret == given.secret
    return secret == rotation.new_secret or secret_id(secret) in rotation.retired


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
