import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.config import values
from p2pcli.config.values import BadValue, duration, size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30.0), ("1.5h", 5400.0), ("2m", 120.0), ("250us", 0.00025), ("1d", 86400.0)],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "-1s", "+1s", "1 s", " 1s", "1s ", "1S", "1e3s", "01s", ".5s", "1.s", "1.2345s", "1s1ms",
     "1:30", "٣s", "inf", "nan", "1sec", "9999999999s", "1s\n"],
)  # fmt: skip
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(BadValue, match=r"^expected a duration like 500ms or 30s, found "):
        duration(text)


@pytest.mark.parametrize(
    ("text", "octets"), [("10MiB", 10 << 20), ("64kB", 64000), ("512B", 512), ("1GiB", 1 << 30), ("0B", 0)]
)
def test_a_size_is_read_in_bytes(text: str, octets: int) -> None:
    assert size(text) == octets


@pytest.mark.parametrize(
    "text", ["", "10", "10M", "10 MiB", "1.5MiB", "010B", "-1B", "1mib", "0x10B", "1_000B"]
)
def test_other_text_is_no_size(text: str) -> None:
    with pytest.raises(BadValue, match=r"^expected a size like 512B, 64kB or 10MiB, found "):
        size(text)


@pytest.mark.parametrize(
    "text", ["010", "0x10", "0o7", "1_000", "1.0", "1e1", "-1", "+1", "", " 1", "٣", "1:30"]
)
def test_a_whole_number_is_decimal_digits_without_leading_zero(text: str) -> None:
    with pytest.raises(BadValue, match=r"^expected a whole number from 0 to 100, found "):
        values.whole(0, 100).read(text)


def test_a_whole_number_keeps_to_its_limits() -> None:
    kind = values.whole(2, 5)
    assert [kind.read(text) for text in ("2", "5")] == [2, 5]
    for text in ("1", "6", "9" * 5000):
        with pytest.raises(BadValue):
            kind.read(text)


def test_a_certificate_keeps_its_meaning_however_its_lines_were_broken() -> None:
    body = "MIIBeTCCAR+gAwIBAgIU" * 20
    whole = "\n".join(["-----BEGIN CERTIFICATE-----", *(body[at : at + 64] for at in range(0, 400, 64)), ""])
    whole += "-----END CERTIFICATE-----\n"
    read = values.CERTIFICATE.read
    assert read(whole) == read(whole.replace("\n", " ")) == read(whole.replace("\n", "")) == whole
    assert read("") == ""


@pytest.mark.parametrize(
    "text",
    ["nothing", "-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY----- MIIB -----END PRIVATE KEY-----",
     f"-----BEGIN CERTIFICATE-----{'?' * 200}-----END CERTIFICATE-----"],
)  # fmt: skip
def test_other_text_is_no_certificate(text: str) -> None:
    with pytest.raises(BadValue, match=r"^expected a PEM certificate"):
        values.CERTIFICATE.read(text)


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**8 - 1))
def test_a_decimal_stays_the_text_it_was(whole: int, fraction: int) -> None:
    text = f"{whole}.{fraction:08d}"
    if whole or fraction:
        assert values.decimal("tick").read(text) == text


@pytest.mark.parametrize(
    "text", ["0", "0.00000000", "1e-2", ".01", "0.000000001", "-0.01", "0,01", "NaN", "1_0"]
)
def test_other_text_is_no_decimal(text: str) -> None:
    with pytest.raises(BadValue, match=r"^expected a decimal number above zero"):
        values.decimal("tick").read(text)


@pytest.mark.parametrize(
    ("text", "points"), [("5%", 500), ("5", 500), ("0.25%", 25), ("0.5", 50), ("10000%", 10**6)]
)
def test_a_percentage_is_read_in_basis_points(text: str, points: int) -> None:
    assert values.percent().read(text) == points


@pytest.mark.parametrize("text", ["", "%", "5 %", "0.125%", "-5%", "10000.01%", "05%"])
def test_other_text_is_no_percentage(text: str) -> None:
    with pytest.raises(BadValue):
        values.percent().read(text)


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "localhost", "grape-1.example.org", "0.0.0.0", "node_1", "1a.b"]
)
def test_a_host_is_an_address_or_a_name(text: str) -> None:
    assert values.HOST.read(text) == text


@pytest.mark.parametrize(
    "text", ["", "127.0.0", "256.0.0.1", "1.2.3.4.5", "01.2.3.4", "a..b", "-a", "a b", "a/b", "::1"]
)
def test_other_text_is_no_host(text: str) -> None:
    with pytest.raises(BadValue, match="an IPv4 address or a host name"):
        values.HOST.read(text)


@pytest.mark.parametrize("text", ["a:1", "127.0.0.1:65535"])
def test_an_address_is_host_and_port(text: str) -> None:
    assert values.ADDRESS.read(text) == text


@pytest.mark.parametrize("text", ["a", "a:", ":1", "a:0", "a:65536", "a:01", "a:b", "http://a:1", "a:1/"])
def test_other_text_is_no_address(text: str) -> None:
    with pytest.raises(BadValue):
        values.ADDRESS.read(text)


@pytest.mark.parametrize(
    "text", ["sqlite", "sqlite:///var/log", "etcd://a:2379", "etcd://a:1,b:2,c:3", "etcd://a:1/our/p2px"]
)
def test_a_log_url_names_an_engine(text: str) -> None:
    assert values.LOG_URL.read(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "sqlite:", "sqlite://", "sqlite:///", "sqlite://rel", "etcd://", "etcd://a", "etcd://a:1,", "postgres://x",
     "etcd://:1", "etcd://a:0", "etcd://a:65536", "etcd://a:1,a:1", "etcd://a:1/", "etcd://a:1//x", "etcd://a:1/x?y",
     "etcd://" + ",".join(f"a{number}:1" for number in range(10)), "SQLITE", "sqlite:///a\nb"],
)  # fmt: skip
def test_other_text_is_no_log_url(text: str) -> None:
    with pytest.raises(BadValue):
        values.LOG_URL.read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("etcd://a:1,b:0", "expected HOST:PORT like 127.0.0.1:30001 for each member of etcd, found 'b:0'"),
        ("etcd://a:1,:2", "expected HOST:PORT like 127.0.0.1:30001 for each member of etcd, found ':2'"),
        ("etcd://a:1,a:1", "expected 1 to 9 different members of etcd, found 2"),
        ("etcd://a:1/x?y", "expected a prefix of letters, digits, _ . - and / for keys, found 'x?y'"),
    ],
)
def test_what_is_wrong_with_the_address_of_an_etcd_is_said(text: str, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        values.LOG_URL.read(text)
    assert caught.value.message == message


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "True", "1", "y", ""])
def test_a_flag_is_true_or_false_and_nothing_else(text: str) -> None:
    with pytest.raises(BadValue, match="one of true, false"):
        values.FLAG.read(text)


def test_what_was_found_is_shown_short_and_in_ascii() -> None:
    assert values.shown("a\x1b[31m\u0663") == "'a\\x1b[31m\\u0663'"
    assert len(values.shown("x" * 5000)) == 62
    assert values.shown("") == "nothing"


def test_a_text_beyond_any_path_is_no_value() -> None:
    assert values.FOLDER.read("x" * 4096)
    with pytest.raises(BadValue, match="the path of a folder"):
        values.FOLDER.read("x" * 4097)
