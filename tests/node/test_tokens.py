"""Join tokens: their text, their list, and which are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.errors import BadInput
from p2pcli.node import tokens as room
from p2pcli.node.tls_folder import BadKeyFile
from p2pcli.node.tokens import PREFIX, BadToken, NoSuchToken, Tokens, read_token
from p2pcli.rpc.auth import TokenRefused
from p2pcli.rpc.credentials import join_key

SECRET = b"s" * 32
NOW = 1_800_000_000


@pytest.fixture
def tokens(tmp_path) -> Tokens:
    return Tokens(tmp_path / "tokens.json")


def made(tokens: Tokens, expires: int = NOW + 3600):
    return tokens.create(SECRET, "default", ["10.0.0.1:7000", "10.0.0.1:7001"], "ab" * 32, expires, NOW)


def test_a_token_reads_back_from_its_line(tokens):
    token = made(tokens)
    assert read_token(f"  {token.text}\n") == token
    assert "\n" not in token.text
    assert token.key == join_key(SECRET, token.id, token.expires)


@pytest.mark.parametrize("text", ["", "nothing", PREFIX, PREFIX + "!!", PREFIX + "AAAA", "x" * 5000])
def test_other_text_is_no_token(text):
    with pytest.raises(BadToken):
        read_token(text)


@given(st.text(max_size=200))
def test_any_text_is_a_token_or_refused(text):
    with pytest.raises(BadToken):
        read_token(PREFIX + text)


def test_a_cut_token_is_refused(tokens):
    text = made(tokens).text
    for end in range(len(text) - 12, len(text) - 2):
        with pytest.raises(BadToken):
            read_token(text[:end])


def test_a_token_is_good_until_it_expires(tokens):
    token = made(tokens)
    tokens.check(token.id, token.expires, NOW + 3599)
    with pytest.raises(TokenRefused, match=f"join token {token.id} has expired 0 s ago"):
        tokens.check(token.id, token.expires, NOW + 3600)
    with pytest.raises(TokenRefused, match="has expired 60 min ago"):
        tokens.check(token.id, token.expires, NOW + 7200)


def test_a_revoked_token_is_refused_and_others_stay_good(tokens):
    one, other = made(tokens), made(tokens)
    tokens.revoke(one.id)
    with pytest.raises(TokenRefused, match=f"{one.id} was revoked"):
        tokens.check(one.id, one.expires, NOW)
    tokens.check(other.id, other.expires, NOW)
    assert [(item.id, item.revoked) for item in tokens.ls()] == [(one.id, True), (other.id, False)]


def test_one_that_was_not_made_here_is_refused(tokens):
    with pytest.raises(TokenRefused, match="was not made on the machine"):
        tokens.check("0123456789ab", NOW + 10, NOW)
    with pytest.raises(NoSuchToken, match="no join token '0123456789ab' was made on this machine"):
        tokens.revoke("0123456789ab")


def test_the_list_forgets_what_has_expired_and_has_a_limit(tokens, monkeypatch):
    old = made(tokens, NOW + 1)
    tokens.create(SECRET, "default", ["a:1"], "ab" * 32, NOW + 100, NOW + 2)
    assert old.id not in [item.id for item in tokens.ls()]
    monkeypatch.setattr(room, "MAX_TOKENS", 1)
    with pytest.raises(BadInput, match="1 join tokens have not expired, the maximum is 1"):
        made(tokens)


def test_the_list_is_private_and_a_damaged_one_is_named(tokens, tmp_path):
    made(tokens)
    path = tmp_path / "tokens.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert SECRET.hex() not in path.read_text()
    path.write_text("{")
    with pytest.raises(BadToken, match="damaged"):
        tokens.ls()
    path.chmod(0o644)
    with pytest.raises(BadKeyFile, match="can be read by others"):
        tokens.ls()


def test_a_token_shows_no_key_by_accident(tokens):
    assert "key" not in repr(made(tokens))
