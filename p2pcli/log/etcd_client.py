"""Questions to the members of an etcd cluster over gRPC: one after another until one answers in time.

Every question here may safely be asked twice (the log's appends are written so), therefore a member that is
silent, breaks off or has lost its leader costs no more than the question put to the next one. What was asked
may have been done all the same: ``NoAnswer`` says nothing about it.

Channels reconnect by themselves, quickly; one is kept per member, however many threads ask at once. etcd's
tokens (user and password) expire; a refused one is fetched anew.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

try:
    import grpc

    from p2pcli.log.etcd_messages import DEACTIVATE, GET, MESSAGES, NOSPACE
except ModuleNotFoundError as missing:
    from p2pcli.log.etcd_place import EtcdLibraryMissing

    raise EtcdLibraryMissing(
        f"a log on etcd needs the Python package {missing.name}, which is not installed",
        hint="pip install 'p2px[etcd]'",
    ) from missing

from p2pcli.errors import P2pxError
from p2pcli.log.entry import LogFull, LogRefuses, OutOfReach, Unavailable
from p2pcli.log.etcd_access import read_access
from p2pcli.log.etcd_place import EtcdPlace

# One member's time to answer, each time it is asked. What is asked before an election is over (one to four
# seconds, by default) is lost, so a write is asked again soon; an answer of megabytes needs more time.
QUICK_S: Final = (0.5,)
PATIENT_S: Final = (0.5, 0.5, 1.0, 2.0, 4.0)
PAUSE_S: Final = 0.05  # after a quick failure
ROOM_S: Final = 30.0  # for each step of making room
WORTH_IT: Final = 0.1  # part of a member's file that is free, from which on it is worth defragmenting

_KV: Final = "/etcdserverpb.KV/"
_MAINTENANCE: Final = "/etcdserverpb.Maintenance/"
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # the next member is a better place to try
]


class NoAnswer(OutOfReach):
    """No member answered in time. What was asked may have been done, or still be."""


class Compacted(P2pxError):
    """The revision that was asked for is no longer kept."""

    code = "etcd_compacted"


class EtcdClient:
    """The members of one etcd cluster. Any thread may ask; ``close`` breaks off what is being asked."""

    def __init__(self, place: EtcdPlace) -> None:
        """Touch no network yet. Raises ``BadAccessFile``."""
        self.place = place
        files = read_access(place.access)
        self._password = files.password
        credentials = None
        if place.access.is_tls:
            credentials = grpc.ssl_channel_credentials(files.ca, files.key, files.cert)
        self._channels = [
            grpc.secure_channel(member, credentials, _OPTIONS)
            if credentials is not None
            else grpc.insecure_channel(member, _OPTIONS)
            for member in place.members
        ]
        self._calls: dict[tuple[int, str], Any] = {}
        self._preferred = 0
        self._token = ""
        self._closed = threading.Event()

    def txn(self, request: Any, timeout: float, attempts_s: Sequence[float] = PATIENT_S) -> Any:
        """Return the answer to a ``TxnRequest``. Raises like ``ask``."""
        return self.ask(f"{_KV}Txn", request, MESSAGES["TxnResponse"], timeout, attempts_s)

    def range(self, request: Any, timeout: float) -> Any:
        """Return the answer to a ``RangeRequest``. Raises like ``ask``."""
        return self.ask(f"{_KV}Range", request, MESSAGES["RangeResponse"], timeout)

    def delete(self, key: bytes, end: bytes, timeout: float) -> Any:
        """Delete keys from ``key`` to before ``end``."""
        request = MESSAGES["DeleteRangeRequest"](key=key, range_end=end)
        return self.ask(f"{_KV}DeleteRange", request, MESSAGES["DeleteRangeResponse"], timeout)

    def compact(self, revision: int, timeout: float) -> None:
        """Let every state before ``revision`` go; one that is gone already is fine."""
        request = MESSAGES["CompactionRequest"](revision=revision)
        try:
            self.ask(f"{_KV}Compact", request, MESSAGES["CompactionResponse"], timeout)
        except Compacted:
            pass

    def ask(
        self,
        method: str,
        request: Any,
        response: Any,
        timeout: float,
        attempts_s: Sequence[float] = PATIENT_S,
    ) -> Any:
        """Return a member's answer within ``timeout`` seconds; ``attempts_s`` has the time of each attempt.

        Raises ``NoAnswer``; ``LogFull`` when etcd's quota is used up, ``Unavailable`` when etcd refuses (its
        message says why) and ``Compacted``, all three only if no attempt before was left without an answer.
        """
        deadline = time.monotonic() + timeout
        attempts, doubtful = iter(attempts_s), False
        while True:
            attempt_s = next(attempts, attempts_s[-1])
            member = self._preferred
            began = time.monotonic()
            try:
                return self._call(member, method, request, response, min(attempt_s, deadline - began))
            except grpc.RpcError as error:
                refusal = None if doubtful else self._refusal(error, member)
                if refusal is not None:
                    raise refusal from error
                if not self._is_stale(error):
                    doubtful = True
                    if self._preferred == member:
                        self._preferred = (member + 1) % len(self._channels)
                if time.monotonic() + PAUSE_S >= deadline or self._closed.is_set():
                    raise self._no_answer(timeout, error) from error
            self._closed.wait(max(0.0, PAUSE_S - (time.monotonic() - began)))

    def make_room(self) -> None:
        """Compact everything, let members give up the room of that, and lift the alarm of a full one.

        A member cannot be asked anything while it defragments (some seconds a GiB), so one that would gain
        little is left alone: another node has been there. Raises ``Unavailable`` when etcd refuses.
        """
        self.compact(self.range(MESSAGES["RangeRequest"](key=b"p2px"), ROOM_S).header.revision, ROOM_S)
        for member in range(len(self._channels)):
            try:
                status = self._maintain(member, "Status", MESSAGES["StatusRequest"]())
                if status.size - status.size_in_use > status.size * WORTH_IT:
                    self._maintain(member, "Defragment", MESSAGES["DefragmentRequest"]())
            except grpc.RpcError as error:
                refusal = self._refusal(error, member)
                if refusal is not None:
                    raise refusal from error
        for alarm in self._alarms(GET, 0).alarms:
            if alarm.alarm == NOSPACE:
                self._alarms(DEACTIVATE, alarm.member)

    def _alarms(self, action: int, member: int) -> Any:
        request = MESSAGES["AlarmRequest"](action=action, member=member, alarm=NOSPACE)
        return self.ask(f"{_MAINTENANCE}Alarm", request, MESSAGES["AlarmResponse"], ROOM_S)

    def _maintain(self, member: int, what: str, request: Any) -> Any:
        response = MESSAGES[f"{what}Response"]
        return self._call(member, f"{_MAINTENANCE}{what}", request, response, ROOM_S)

    def close(self) -> None:
        """Close the connections; whoever waits for an answer gets none."""
        self._closed.set()
        for channel in self._channels:
            channel.close()

    def _call(self, member: int, method: str, request: Any, response: Any, timeout: float) -> Any:
        call = self._calls.get((member, method))
        if call is None:
            call = self._calls[member, method] = self._channels[member].unary_unary(
                method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=response.FromString,
            )
        if self.place.access.user and not self._token:
            self._authenticate(member, timeout)
        metadata = [("token", self._token)] if self._token else None
        try:
            return call(request, timeout=timeout, metadata=metadata)
        except ValueError as error:  # what grpc raises on a channel that another thread has closed
            raise self._no_answer(timeout, error) from error

    def _authenticate(self, member: int, timeout: float) -> None:
        ask = self._channels[member].unary_unary(
            "/etcdserverpb.Auth/Authenticate",
            request_serializer=MESSAGES["AuthenticateRequest"].SerializeToString,
            response_deserializer=MESSAGES["AuthenticateResponse"].FromString,
        )
        request = MESSAGES["AuthenticateRequest"](name=self.place.access.user, password=self._password)
        self._token = ask(request, timeout=timeout).token

    def _is_stale(self, error: Any) -> bool:
        """Say whether only the token was refused, and then forget it."""
        stale = error.code() == grpc.StatusCode.UNAUTHENTICATED and bool(self._token)
        if stale:
            self._token = ""
        return stale

    def _refusal(self, error: Any, member: int) -> P2pxError | None:
        """Return what etcd's answer means if it is one: then what was asked has not been done."""
        said = error.details() or ""
        where = f"etcd at {self.place.members[member]}"
        match error.code():
            case grpc.StatusCode.RESOURCE_EXHAUSTED if "space exceeded" in said:
                return LogFull(
                    f"{where}: its quota is used up, nothing was appended",
                    hint="p2px makes room in etcd by itself: try again in some seconds; or raise its quota",
                )
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                return Unavailable(f"{where} refuses: {said}")
            case grpc.StatusCode.PERMISSION_DENIED:
                user = self.place.access.user
                return LogRefuses(
                    f"{where} refuses: {said}", hint=f"etcdctl user get {user} --detail" if user else None
                )
            case grpc.StatusCode.UNAUTHENTICATED if not self._token:
                return LogRefuses(f"{where} refuses: {said}", hint="check log.user and log.password_file")
            case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.FAILED_PRECONDITION:
                return LogRefuses(f"{where} refuses: {said}", hint="check log.user and log.password_file")
            case grpc.StatusCode.OUT_OF_RANGE:
                return Compacted(f"{where}: {said}")
            case grpc.StatusCode.UNIMPLEMENTED:
                return LogRefuses(f"{where} is no etcd that p2px knows: {said}")
        return None

    def _no_answer(self, timeout: float, error: Exception) -> NoAnswer:
        said = error.details() if isinstance(error, grpc.RpcError) else str(error)
        waited = f"{round(timeout, 1):g} s"
        return NoAnswer(
            f"log {self.place.shown()}: no member answered within {waited}: {_first_line(said)}",
            hint=f"etcdctl --endpoints {','.join(self.place.members)} endpoint status",
        )


def _first_line(said: str | None) -> str:
    return (said or "nothing heard").partition("\n")[0][:200]
