"""What the etcd log does beyond the conformance of every engine: members that fail, damage, doors, room."""

import datetime
import ipaddress
import shlex
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from etcd_members import MISSING, EtcdMembers, eventually

from p2pcli.log.check import check_log
from p2pcli.log.entry import (
    MAX_BODY,
    Batch,
    Corrupt,
    Entry,
    LogFull,
    LogRefuses,
    Trimmed,
    Unavailable,
    Undecided,
)
from p2pcli.log.etcd import EtcdLog
from p2pcli.log.etcd_access import BadAccessFile
from p2pcli.log.etcd_client import EtcdClient
from p2pcli.log.etcd_keys import after_all
from p2pcli.log.etcd_market import OtherCluster, add_put, wipe
from p2pcli.log.etcd_messages import MESSAGES
from p2pcli.log.etcd_place import BadEtcdAddress, EtcdAccess, address_of, parse

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

TIMEOUT_S = 30.0
LOCAL = ipaddress.ip_address("127.0.0.1")


def batch(number, body=b"x", producer="c1", epoch=1):
    return Batch(producer, epoch, number, body)


@pytest.fixture
def place(etcd_url, tmp_path):
    """Return an address that no other test uses."""
    return f"{etcd_url}{tmp_path}"


@pytest.fixture
def opened(place):
    with ExitStack() as stack:
        yield lambda market="m": stack.enter_context(EtcdLog(place, market))


class Raw:
    """The keys of the shared member as they are, for tampering."""

    def __init__(self, url):
        self.client = EtcdClient(parse(f"{url}/x"))

    def listed(self, prefix):
        request = MESSAGES["RangeRequest"](key=prefix.encode(), range_end=after_all(prefix.encode()))
        return [kv.key.decode() for kv in self.client.range(request, TIMEOUT_S).kvs]

    def get(self, key):
        return self.client.range(MESSAGES["RangeRequest"](key=key.encode()), TIMEOUT_S).kvs[0].value

    def put(self, key, value):
        request = MESSAGES["TxnRequest"]()
        add_put(request.success, key.encode(), value)
        self.client.txn(request, TIMEOUT_S)

    def delete(self, key):
        self.client.delete(key.encode(), key.encode() + b"\0", TIMEOUT_S)

    def compact(self):
        revision = self.client.range(MESSAGES["RangeRequest"](key=b"x"), TIMEOUT_S).header.revision
        self.client.compact(revision, TIMEOUT_S)


@pytest.fixture
def raw(etcd_url):
    raw = Raw(etcd_url)
    yield raw
    raw.client.close()


# -- addresses ------------------------------------------------------------------------------------------


def test_a_place_is_told_and_understood():
    access = EtcdAccess("/a b/ca.pem", "/cert", "/key", "p2px", "/word")
    place = parse(address_of("etcd://a:1,b:2/our", "default", "c0ffee", access))
    assert (place.members, place.folder) == (("a:1", "b:2"), "/our/default")
    assert (place.identity, place.access) == ("c0ffee", access)
    assert place.shown() == "etcd://a:1,b:2/our/default"
    assert parse(address_of("etcd://a:1", "x", "", EtcdAccess())).folder == "/p2px/x"


@pytest.mark.parametrize(
    "text", ["etcd://", "sqlite:///x", "etcd://a:1,", "etcd://" + ",".join(["a:1"] * 10)]
)
def test_other_text_is_no_place(text):
    with pytest.raises(BadEtcdAddress, match="1 to 9 members"):
        parse(text)


def test_without_its_library_the_log_says_what_to_install():
    program = (
        "import sys; sys.modules['grpc'] = None\n"
        "from p2pcli.node.engine import open_log\n"
        "from p2pcli.errors import P2pxError\n"
        "try: open_log('etcd://127.0.0.1:1/x', 'm', True)\n"
        "except P2pxError as error: print(error.hint)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "pip install 'p2px[etcd]'"


def test_a_log_on_sqlite_imports_nothing_of_etcd():
    program = "import sys, p2pcli.node.hosted; print([name for name in sys.modules if 'grpc' in name])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


# -- whose log it is ------------------------------------------------------------------------------------


def test_clusters_and_markets_do_not_see_each_other(etcd_url, tmp_path):
    addresses = [f"{etcd_url}{tmp_path}/{name}" for name in ("a", "b")]
    with ExitStack() as stack:
        logs = [
            stack.enter_context(EtcdLog(address, market)) for address in addresses for market in ("m", "n")
        ]
        for number, log in enumerate(logs):
            for count in range(number + 1):
                log.append(batch(count + 1), TIMEOUT_S)
        assert [log.last() for log in logs] == [1, 2, 3, 4]
        assert wipe(addresses[0]) == 9  # 3 batches, and meta, count and lane of each market
        assert [log.last() for log in logs[2:]] == [3, 4]
        assert logs[3].append(batch(5), TIMEOUT_S) == 5


def test_another_cluster_of_the_same_name_is_refused_and_does_not_wipe(place):
    with EtcdLog(f"{place}?identity=one", "m") as log:
        log.append(batch(1), TIMEOUT_S)
        with pytest.raises(OtherCluster, match="another cluster of this name"):
            EtcdLog(f"{place}?identity=two", "m")
        assert wipe(f"{place}?identity=two") == 0
        assert log.last() == 1
        assert wipe(f"{place}?identity=one") == 4


def test_a_log_that_was_nobodys_becomes_the_first_clusters_that_says_its_name(place):
    with EtcdLog(place, "m") as log:
        log.append(batch(1), TIMEOUT_S)
    with EtcdLog(f"{place}?identity=one", "m") as log:
        assert log.last() == 1
    with EtcdLog(place, "m") as log:  # whoever is not told whose it is may read and write it
        assert log.last() == 1
    with pytest.raises(OtherCluster):
        EtcdLog(f"{place}?identity=two", "m")


def test_a_log_that_was_removed_under_a_writer_stops_it(place, opened):
    log = opened()
    log.append(batch(1), TIMEOUT_S)
    wipe(place)
    with pytest.raises(Corrupt, match="is not the log that was opened"):
        log.append(batch(1, producer="new"), TIMEOUT_S)


def test_an_interrupted_installation_is_not_opened(opened):
    def broken():
        yield from [Entry(1, batch(1), bytes(32))]

    with pytest.raises(Corrupt):
        opened().install(broken())
    with pytest.raises(OtherCluster, match="not complete"):
        opened()


# -- damage ---------------------------------------------------------------------------------------------


def filled(log, count=6):
    for number in range(1, count + 1):
        log.append(batch(number, b"%d" % number), TIMEOUT_S)
        log.append(batch(number, b"%d" % number, producer="c2"), TIMEOUT_S)


@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_deleted_entry_is_noticed(opened, raw, tmp_path, number):
    filled(opened())
    raw.delete(raw.listed(f"{tmp_path}/m/batch/c1/")[number - 1])
    report = check_log(opened())
    assert report.problem is not None
    assert "missing" in report.problem.what
    assert report.last <= 2 * number - 2, "nothing is read under a wrong sequence"


def test_an_entry_with_anothers_value_is_noticed_and_what_comes_before_it_is_read(opened, raw, tmp_path):
    filled(opened())
    third, fourth = raw.listed(f"{tmp_path}/m/batch/c2/")[2:4]
    raw.put(fourth, raw.get(third))
    log = opened()
    assert [entry.sequence for entry in log.read(0, 100)] == list(range(1, 8))
    with pytest.raises(Corrupt, match="has changed since it was written"):
        log.read(7, 1)


def test_an_entry_that_is_written_again_as_it_is_keeps_its_place(opened, raw, tmp_path):
    log = opened()
    filled(log)
    key = raw.listed(f"{tmp_path}/m/batch/c1/")[0]
    raw.put(key, raw.get(key))
    assert opened().read(0, 100) == log.read(0, 100)
    assert [entry.batch.producer for entry in log.read(0, 2)] == ["c1", "c2"]


def test_an_entry_of_an_unknown_version_stops_the_reader(opened, raw, tmp_path):
    filled(opened())
    raw.put(raw.listed(f"{tmp_path}/m/batch/c2/")[5], b"\x02new")
    log = opened()
    assert len(log.read(0, 100)) == 11
    with pytest.raises(Corrupt, match="is of format 2, this p2px reads 1") as caught:
        log.read(11, 1)
    assert caught.value.sequence == 12


def test_compaction_by_others_costs_no_entry_and_no_repeat(opened, raw):
    log = opened()
    filled(log)
    raw.compact()
    assert log.append(batch(2, b"2"), TIMEOUT_S) == 3, "the counter's history is gone: it is counted"
    assert check_log(opened()).last == 12


# -- trimming -------------------------------------------------------------------------------------------


def test_trimming_deletes_keys_and_lanes_and_a_lane_that_comes_back_is_read(opened, raw, tmp_path):
    log = opened()
    log.append(batch(1, producer="idle"), TIMEOUT_S)
    filled(log)
    log.trim(10)
    assert log.first() == 10
    assert len(raw.listed(f"{tmp_path}/m/batch/")) == 4
    assert [lane.split("/")[-2] for lane in raw.listed(f"{tmp_path}/m/lane/")] == ["c1", "c2"]
    assert log.append(batch(2, producer="idle"), TIMEOUT_S) == 14
    assert [entry.batch.producer for entry in opened().read(12, 10)] == ["c2", "idle"]
    with pytest.raises(Trimmed) as caught:
        opened().read(3, 1)
    assert caught.value.first == 10


def test_reading_goes_on_while_others_append_and_trim(opened):
    log, seen = opened(), []
    stop = threading.Event()

    def write(producer):
        number = 0
        own = opened()
        while not stop.is_set():
            number += 1
            own.append(batch(number, b"x" * 50, producer), TIMEOUT_S)
            if number % 40 == 0:
                own.trim(max(1, own.last() - 30))

    writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    after = 0
    while len(seen) < 500:
        try:
            entries = log.read(after, 50)
        except Trimmed as trimmed:
            after = trimmed.first - 1
            continue
        assert [entry.sequence for entry in entries] == list(range(after + 1, after + 1 + len(entries)))
        seen += entries
        after += len(entries)
    stop.set()
    for writer in writers:
        writer.join(TIMEOUT_S)
    assert check_log(opened()).problem is None


# -- members that fail ----------------------------------------------------------------------------------


def test_nobody_there_is_unavailable_within_the_time_given():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Unavailable, match=r"no member answered within 0\.3 s"):
            EtcdLog(f"etcd://127.0.0.1:{port},127.0.0.1:1/x", "m", timeout=0.3)


def test_a_batch_that_was_not_answered_is_repeated_and_is_in_once(tmp_path):
    with EtcdMembers(tmp_path / "e", 1, "--unsafe-no-fsync") as etcd, EtcdLog(f"{etcd.url}/x", "m") as log:
        log.append(batch(1), TIMEOUT_S)
        etcd.pause(0)
        for _ in range(2):
            with pytest.raises(Undecided):
                log.append(batch(2), 0.2)
        etcd.resume(0)
        assert log.append(batch(2), TIMEOUT_S) == 2
        etcd.kill(0)
        with pytest.raises(Undecided):
            log.append(batch(3), 0.2)
        with pytest.raises(Unavailable):
            EtcdLog(f"{etcd.url}/x", "m", timeout=0.2)
        etcd.start(0)
        assert log.append(batch(3), TIMEOUT_S) == 3
        assert [entry.batch.number for entry in log.read(0, 10)] == [1, 2, 3]


def fill(raw):
    while True:
        raw.put("/other", bytes(MAX_BODY))


def test_a_full_etcd_refuses_and_reads_and_takes_entries_again_once_there_is_room(tmp_path):
    with (
        EtcdMembers(tmp_path / "e", 1, "--unsafe-no-fsync", "--quota-backend-bytes=16777216") as etcd,
        EtcdLog(f"{etcd.url}/x", "m") as log,
    ):
        for number in range(1, 21):
            log.append(batch(number, bytes(MAX_BODY // 2)), TIMEOUT_S)
        other = Raw(etcd.url)
        with pytest.raises(LogFull, match="quota is used up"):  # by old values of one key of somebody else
            fill(other)
        with pytest.raises(LogFull):
            log.append(batch(21), TIMEOUT_S)
        assert log.last() == 20
        assert log.read(19, 10)[0].batch.number == 20

        def is_taken():
            try:
                return log.append(batch(21), TIMEOUT_S)
            except LogFull:
                return None

        assert eventually(is_taken, TIMEOUT_S) == 21
        log.trim(20)
        assert check_log(log).problem is None
        other.client.close()


# -- doors ----------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str, issuer=None):
    """Write name.pem and name.key; signed by ``issuer`` (name and key), or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0] if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(LOCAL)]), False)
    )
    signed = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return subject, key


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Run a member that speaks TLS, wants a certificate of its clients, and knows users."""
    folder = tmp_path_factory.mktemp("doors")
    issuer = certificate(folder, "ca")
    certificate(folder, "member", issuer)
    certificate(folder, "client", issuer)
    certificate(folder, "stranger")
    (folder / "word").write_text("open sesame\n")
    (folder / "word").chmod(0o600)
    shown = {"ca": folder / "ca.pem", "cert": folder / "client.pem", "key": folder / "client.key"}
    options = (
        *("--cert-file", str(folder / "member.pem"), "--key-file", str(folder / "member.key")),
        *("--trusted-ca-file", str(folder / "ca.pem"), "--client-cert-auth", "--unsafe-no-fsync"),
    )
    with EtcdMembers(folder / "e", 1, *options, scheme="https", query=urlencode(shown)) as etcd:
        files = (f"--{option}={shown[name]}" for option, name in
                 (("cacert", "ca"), ("cert", "cert"), ("key", "key")))  # fmt: skip
        files = tuple(files)
        for words in (
            "user add root:secret", "user grant-role root root", "user add p2px:open\\ sesame",
            "role add p2px", "role grant-permission --prefix=true p2px readwrite /p2px/",
            "user grant-role p2px p2px", "auth enable",
        ):  # fmt: skip
            etcd.ctl(*files, *shlex.split(words), endpoint=f"https://{etcd.members[0]}")
        yield etcd, shown | {"user": "p2px", "password_file": folder / "word"}


def reach(etcd, fields, folder="/p2px/default", timeout=TIMEOUT_S):
    return EtcdLog(f"{etcd.url}{folder}?{urlencode(fields)}", "m", timeout=timeout)


def test_certificates_and_a_password_open_the_door_and_a_token_that_is_lost_is_fetched_anew(guarded):
    etcd, fields = guarded
    with reach(etcd, fields) as log:
        first = log.append(batch(1), TIMEOUT_S)
        etcd.kill(0)  # tokens live in its memory
        etcd.start(0)
        assert log.append(batch(2), TIMEOUT_S) == first + 1
        assert log.read(first - 1, 10)[0].batch == batch(1)


def test_without_the_right_certificate_nobody_gets_in(guarded):
    etcd, fields = guarded
    folder = fields["ca"].parent
    for change in (
        {"cert": "", "key": ""},
        {"cert": folder / "stranger.pem", "key": folder / "stranger.key"},
        {"ca": folder / "stranger.pem"},
        {"ca": "", "cert": "", "key": ""},
    ):
        left = {name: value for name, value in (fields | change).items() if value}
        with pytest.raises(Unavailable, match="no member answered"):
            reach(etcd, left, timeout=0.7)


def test_a_wrong_password_and_a_foreign_prefix_are_refused_with_the_reason(guarded, tmp_path):
    etcd, fields = guarded
    word = tmp_path / "word"
    word.write_text("open barley")
    word.chmod(0o600)
    with pytest.raises(LogRefuses, match=r"refuses: .*invalid user ID or password") as caught:
        reach(etcd, fields | {"password_file": word})
    assert caught.value.hint == "check log.user and log.password_file"
    with pytest.raises(LogRefuses, match=r"refuses: .*permission denied"):
        reach(etcd, fields, folder="/other/default")
    assert "barley" not in str(caught.value)


def test_a_password_that_others_can_read_and_files_that_are_not_there_are_refused(guarded, tmp_path):
    etcd, fields = guarded
    word = tmp_path / "word"
    word.write_text("open sesame")
    word.chmod(0o644)
    with pytest.raises(BadAccessFile, match="can be read by others") as caught:
        reach(etcd, fields | {"password_file": word})
    assert caught.value.hint == f"chmod 600 {word}"
    with pytest.raises(BadAccessFile, match=r"cannot read .*nothing\.pem"):
        reach(etcd, fields | {"ca": tmp_path / "nothing.pem"})
