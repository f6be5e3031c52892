"""The folder of one cluster: what is in it, and how its files are written, read and locked.

    <home>/<name>/         mode 0700, everything beneath it for the user alone
      lock                 held (flock) by the supervisor while it lives
      children.lock        held shared by every child while it lives
      control              the supervisor's socket (control.py)
      plan.json            names, ports, markets (plan.py)      state.json   last report (report.py)
      secret               64 hex digits, mode 0600             logs/        one file a process
      rotation.json        a new secret that takes its place, and how far that is (node/rotation.py)
      data/<market>/       the shared log                       nodes/<name>/ registry/<name>/   private
      importing            a backup is being restored here, or that was broken off (restore.py)
      answered.sqlite      lines of order files that were imported (answered.py)
      moving.lock          held by who moves the log to another place (relocation.py)
      joined.json          on a machine that joined: where the others are (joined.py)
      tls/                 the cluster's certificates, where it has any (node/tls_folder.py)

Locks decide who lives, never a pid in a file: the kernel drops a lock with its process, also after
kill -9, and no later process inherits it by having the same number.
"""

import os
import re
import stat
from pathlib import Path
from typing import TypeVar

import msgspec

from p2pcli.cluster.joined import Joined
from p2pcli.cluster.plan import PLAN_VERSION, ClusterPlan
from p2pcli.cluster.report import ClusterReport
from p2pcli.errors import BadInput, Conflict, NotRunning
from p2pcli.node.rotation import in_force, next_tls, read_rotation
from p2pcli.rpc.credentials import Credentials

MAX_FILE = 4 << 20  # bytes of a plan or state file; 999 markets need 0.2 MiB
_SECRET_BYTES = 16  # at least; as node.process
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
_OURS = (
    "data",
    "nodes",
    "registry",
    "logs",
    "control",
    "plan.json",
    "state.json",
    "joined.json",
    "secret",
    "rotation.json",
    "supervisor.out",
    "tls",
    "importing",
    "moving.lock",
    "answered.sqlite",
    "answered.sqlite-wal",
    "answered.sqlite-shm",
)
_TEMPORARY = re.compile(
    r"(secret|plan\.json|state\.json|joined\.json|rotation\.json)(\.[0-9a-f]+)?\.new"
)  # being written, or left by a kill
_LOCKS = ("children.lock", "lock")  # deleted last, so that nobody moves in meanwhile

_File = TypeVar("_File", ClusterPlan, ClusterReport, Joined)


class BadClusterName(BadInput):
    """Text that is no name for a cluster, and so for a folder."""

    code = "bad_cluster_name"


class FolderUnusable(Conflict):
    """The cluster's folder cannot be made, read or written."""

    code = "folder_unusable"


class BadPlanFile(Conflict):
    """The plan in the folder is damaged, or of another version of p2px."""

    code = "bad_plan_file"


class HalfRestored(Conflict):
    """A backup was not restored to its end, and what is there of it must not be traded on."""

    code = "half_restored"


class ClusterNotRunning(NotRunning):
    """No supervisor holds this cluster's folder."""


class ClusterFolder:
    """The places of one cluster. Making one touches no disk."""

    def __init__(self, home: Path, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise BadClusterName(
                f"cluster name {name[:80]!r} is not 1 to 63 letters, digits, - and _",
                hint="choose a name like default or test-1",
            )
        self.name = name
        self.path = home.absolute() / name
        self.lock_path = self.path / "lock"
        self.children_lock_path = self.path / "children.lock"
        self.plan_path = self.path / "plan.json"
        self.state_path = self.path / "state.json"
        self.joined_path = self.path / "joined.json"
        self.secret_path = self.path / "secret"
        self.moving_path = self.path / "moving.lock"
        self.importing_path = self.path / "importing"
        self.answered_path = self.path / "answered.sqlite"
        self.output_path = self.path / "supervisor.out"  # what the supervisor prints before it logs
        self.logs = self.path / "logs"
        self.data = self.path / "data"
        self.nodes = self.path / "nodes"
        self.registry = self.path / "registry"
        self.tls = self.path / "tls"

    def exists(self) -> bool:
        """Return whether a cluster has ever been here."""
        return self.plan_path.exists()

    def prepare(self) -> None:
        """Make the folder and the secret if they are missing. Raises ``FolderUnusable``."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            strangers = sorted(entry for entry in os.listdir(self.path) if not _is_ours(entry))
            if strangers and not self.exists() and not self.lock_path.exists():
                raise FolderUnusable(
                    f"folder {self.path} holds other things ({strangers[0]}), not a cluster",
                    hint="choose another --name or P2PX_HOME",
                )
            self.path.chmod(0o700)
            for folder in (self.logs, self.data, self.nodes, self.registry):
                folder.mkdir(mode=0o700, exist_ok=True)
            if not self.secret_path.exists():
                _write_once(self.secret_path, os.urandom(32).hex().encode())
        except OSError as error:
            raise unusable(self.path, error) from error

    def check_restored(self) -> None:
        """Raise ``HalfRestored`` when a backup was restored here and not to its end."""
        if self.importing_path.exists():
            raise HalfRestored(
                f"a backup was not restored to its end into cluster {self.name}",
                hint=f"p2px log import FILE again, or p2px cluster down --wipe --name {self.name}",
            )

    def secret(self) -> bytes:
        """Return what the file of the secret says: what nodes and operator know, unless it is being replaced.

        Raises ``ClusterNotRunning`` when there is none.
        """
        try:
            with self.secret_path.open("rb") as file:
                mode, data = os.fstat(file.fileno()).st_mode, file.read(4096)
        except FileNotFoundError:
            raise not_running(self.name) from None
        except OSError as error:
            raise FolderUnusable(f"cannot read the secret {self.secret_path}: {error.strerror}") from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise FolderUnusable(
                f"the secret {self.secret_path} can be read by others", hint=f"chmod 600 {self.secret_path}"
            )
        try:
            secret = bytes.fromhex(data.decode("ascii"))
        except ValueError:
            secret = b""
        if len(secret) < _SECRET_BYTES:
            raise FolderUnusable(
                f"the secret {self.secret_path} is damaged: expected at least {2 * _SECRET_BYTES} hex digits",
                hint="bring it back from another machine of the cluster, or from a backup",
            )
        return secret

    def credentials(self) -> Credentials:
        """Return what the cluster's operator proves itself with.

        Raises ``ClusterNotRunning``, ``BadRotationFile``.
        """
        rotation = read_rotation(self.secret_path)
        return in_force(
            self.secret(), rotation, self._authority(self.tls), self._authority(next_tls(self.tls))
        )

    def newest_secret(self) -> bytes:
        """Return the secret that keys and tokens are to be made with. Raises as ``credentials``."""
        rotation = read_rotation(self.secret_path)
        return rotation.new_secret if rotation is not None else self.secret()

    def authority(self) -> str:
        """Return the certificates of the cluster's CA (PEM), two while it is replaced; "": plain TCP."""
        rotation = read_rotation(self.secret_path)
        return in_force(b"", rotation, self._authority(self.tls), self._authority(next_tls(self.tls))).ca

    def _authority(self, tls: Path) -> str:
        try:
            return (tls / "ca.pem").read_text(encoding="ascii")
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise FolderUnusable(f"cannot read the CA certificate in {tls}: {error}") from error

    def plan(self) -> ClusterPlan | None:
        """Return the plan kept here, None when there is none. Raises ``BadPlanFile``."""
        plan = self._read(self.plan_path, ClusterPlan)
        if plan is not None and plan.version != PLAN_VERSION:
            raise BadPlanFile(
                f"{self.plan_path} is of version {plan.version}, this p2px reads version {PLAN_VERSION}",
                hint=f"p2px cluster down --wipe --name {self.name} deletes the cluster",
            )
        return plan

    def keep_plan(self, plan: ClusterPlan) -> None:
        """Replace the plan, durably and at once. Raises ``FolderUnusable``."""
        self._replace(self.plan_path, msgspec.json.format(msgspec.json.encode(plan)), durable=True)

    def report(self) -> ClusterReport | None:
        """Return what the supervisor last wrote: addresses without asking anyone.

        None when no cluster runs that ended in order; out of date when the supervisor was killed.
        """
        try:
            return self._read(self.state_path, ClusterReport)
        except BadPlanFile:
            return None  # written by another version: it is only a cache of what the supervisor knows

    def keep_report(self, report: ClusterReport) -> None:
        """Replace the state file at once. Readers see the old or the new one. Raises ``FolderUnusable``."""
        self._replace(self.state_path, msgspec.json.encode(report), durable=False)

    def joined(self) -> Joined | None:
        """Return what this machine keeps of a cluster it joined, None when it never did."""
        return self._read(self.joined_path, Joined)

    def keep_joined(self, joined: Joined) -> None:
        """Replace it, durably and at once. Raises ``FolderUnusable``."""
        self._replace(self.joined_path, msgspec.json.encode(joined), durable=True)

    def forget_report(self) -> None:
        """Remove the state file: nothing runs any more."""
        self.state_path.unlink(missing_ok=True)

    def discard_data(self) -> None:
        """Delete logs of orders and private files, and keep the rest; the caller holds the lock.

        Raises ``FolderUnusable``.
        """
        import shutil  # rarely needed, and slower to import than this whole room

        try:
            for folder in (self.data, self.nodes, self.registry):
                if folder.exists():
                    shutil.rmtree(folder)
        except OSError as error:
            raise unusable(self.path, error) from error
        self.prepare()

    def wipe(self) -> list[str]:
        """Delete what clusters keep here; the caller holds the lock. Return the strangers left in place.

        Only known names are deleted: a wrong home or name costs no other files. Raises ``FolderUnusable``.
        """
        import shutil

        try:
            ours = [name for name in os.listdir(self.path) if _is_ours(name)]
            for name in sorted(ours, key=lambda name: name in _LOCKS):
                path = self.path / name
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            left = sorted(os.listdir(self.path))
            if not left:
                self.path.rmdir()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unusable(self.path, error) from error
        return left

    def _read(self, path: Path, shape: type[_File]) -> _File | None:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE + 1)
            return msgspec.json.decode(data[:MAX_FILE], type=shape)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unusable(path, error) from error
        except msgspec.MsgspecError as error:
            raise BadPlanFile(
                f"{path} is damaged or of another version: {error}",
                hint=f"p2px cluster down --wipe --name {self.name} deletes the cluster",
            ) from error

    def _replace(self, path: Path, data: bytes, *, durable: bool) -> None:
        temporary = path.with_name(f"{path.name}.new")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise unusable(path, error) from error


def clusters(home: Path) -> list[ClusterFolder]:
    """Return the clusters that have a folder in ``home``, by name. Raises ``FolderUnusable``."""
    try:
        names = sorted(entry.name for entry in home.iterdir() if _NAME.fullmatch(entry.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unusable(home, error) from error
    return [folder for folder in (ClusterFolder(home, name) for name in names) if folder.exists()]


def not_running(name: str) -> ClusterNotRunning:
    """Return the error for a cluster that does not run."""
    if name == "default":
        return ClusterNotRunning("no cluster is running", hint="p2px cluster up -n 3")
    return ClusterNotRunning(f"cluster {name} is not running", hint=f"p2px cluster up -n 3 --name {name}")


def _is_ours(name: str) -> bool:
    return name in _OURS + _LOCKS or _TEMPORARY.fullmatch(name) is not None


def _write_once(path: Path, data: bytes) -> None:
    """Make a file that is complete as soon as it is there; of two writers the first wins."""
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)


def unusable(path: Path, error: OSError) -> FolderUnusable:
    """Return the error for a file or folder that the system does not let us use."""
    return FolderUnusable(
        f"cannot use {error.filename or path}: {error.strerror}",
        hint="set P2PX_HOME to a folder you can write to",
    )
