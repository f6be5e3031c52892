import pytest

from p2pcli.config.env_file import parse
from p2pcli.config.tree import BadConfigFile, Text


def test_our_variables_arrive_with_their_lines_and_others_do_not() -> None:
    data = (
        b"# a comment\n\nOTHER=1\nexport P2PX_A='x y'\n"
        b'\n\nP2PX_B="q" # said why\nP2PX_C=plain # why\nP2PX_D=\n'
    )
    assert parse(data, ".env", "P2PX_") == {
        "P2PX_A": Text("x y", 4),
        "P2PX_B": Text("q", 7),
        "P2PX_C": Text("plain", 8),
        "P2PX_D": Text("", 9),
    }


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert parse(b"\xef\xbb\xbfP2PX_A=1", ".env", "P2PX_") == {"P2PX_A": Text("1", 1)}


BAD = [
    (b"P2PX_A=1\nno sign here at all\n", ".env line 2: expected NAME=value, found 'no sign here at all'"),
    (b"\n\nP2PX_A='open\n", ".env line 3: the quotes of 'P2PX_A' do not go around the whole value"),
    (b"OTHER='open\n", ".env line 1: the quotes of 'OTHER' do not go around the whole value"),
    (b"P2PX_A\n", ".env line 1: P2PX_A has no value"),
    (b"P2PX_A=1\nP2PX_A=2\n", ".env line 2: P2PX_A is there twice, first on line 1"),
    (b"P2PX_A=${HOME}/x\n", ".env line 1: P2PX_A uses ${...}, which p2px does not expand"),
    (b"A=1\nB=\xff\n", ".env line 2: expected UTF-8, found byte 0xff"),
    (b"=1\n", ".env line 1: expected NAME=value, found ''"),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_a_bad_line_is_refused_by_its_number(data: bytes, message: str) -> None:
    with pytest.raises(BadConfigFile) as caught:
        parse(data, ".env", "P2PX_")
    assert caught.value.message == message


def test_what_follows_the_sign_is_not_shown_because_it_may_be_a_password() -> None:
    with pytest.raises(BadConfigFile) as caught:
        parse(b"PASSWORD='hunter2\n", ".env", "P2PX_")
    assert "hunter2" not in caught.value.message
