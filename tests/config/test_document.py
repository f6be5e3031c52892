import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.config.document import parse
from p2pcli.config.tree import BadConfigFile, Sequence, Table, Text


def refusal(data: str | bytes) -> str:
    with pytest.raises(BadConfigFile) as caught:
        parse(data.encode() if isinstance(data, str) else data, "p2px.yaml")
    assert "\n" not in caught.value.message
    return caught.value.message


def test_values_arrive_as_their_source_text_with_their_lines() -> None:
    document = parse(b"market_defaults:\n  tick: 0.010\n  lot: '1'\nmarkets: [A/B,\n  C/D]\n", "x")
    assert document.entries["market_defaults"] == Table(
        {"tick": Text("0.010", 2), "lot": Text("1", 3)}, {"tick": 2, "lot": 3}, 2
    )
    assert document.entries["markets"] == Sequence((Text("A/B", 4), Text("C/D", 5)), 4)


@pytest.mark.parametrize(
    "text", ["010", "1:30", "yes", "off", "1e3", "0x1F", "1_000", ".inf", "2026-01-02", "1.10"]
)
def test_yaml_guesses_nothing(text: str) -> None:
    assert parse(f"a: {text}".encode(), "x").entries["a"] == Text(text, 1)


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "---\n", "--- # nothing\n...\n", "\ufeff", "~", "null\n"]
)
def test_an_empty_document_is_an_empty_table(text: str) -> None:
    assert parse(text.encode(), "x").entries == {}


@pytest.mark.parametrize("text", ["a:", "a: ~", "a: null"])
def test_nothing_is_an_empty_text(text: str) -> None:
    assert parse(text.encode(), "x").entries["a"] == Text("", 1)


def test_quotes_keep_the_word_null() -> None:
    assert parse(b"a: 'null'", "x").entries["a"] == Text("null", 1)


BAD = [
    ("a: 1\nb: 2\na: 3", "line 3: 'a' is there twice, first on line 1"),
    ("s:\n  a: 1\n  a: 2", "line 3: 'a' is there twice, first on line 2"),
    ("a: &x 1", "line 1: an anchor (&x) is not allowed"),
    ("a: &x [1]\nb: *x", "line 1: an anchor (&x) is not allowed"),
    ("a: *x", "line 1: an alias (*x) is not allowed"),
    ("a: !!python/object/apply:os.system [ls]",
     "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed"),
    ("a: !!str 1", "line 1: the tag 'tag:yaml.org,2002:str' is not allowed"),
    ("a: ! 1", "line 1: the tag '!' is not allowed"),
    ("- 1", "line 1: expected a mapping of settings, found a list"),
    ("# c\n\n30s", "line 3: expected a mapping of settings, found '30s'"),
    ("a: 1\n---\nb: 1", "line 2: a second document starts here; p2px reads one per file"),
    ("? [a]\n: 1", "line 1: expected the name of a setting, found a list or mapping"),
    ("a:\n\tb: 1", "line 2: a tab in the indentation"),
    ("a: [1", "line 2: not YAML: did not find expected ',' or ']'"),
    ("a: 'x", "line 1: not YAML: found unexpected end of stream"),
    ("a: b: c", "line 1: not YAML: mapping values are not allowed in this context"),
    ("a: \"\\q\"", "line 1: not YAML: found unknown escape character"),
    ("a: 1\n b: 2", "line 2: not YAML: mapping values are not allowed in this context"),
    ("%YAML 3.0\n---\na: 1", "line 1: not YAML: found incompatible YAML document"),
    ("a: \x00", "line 1: the character U+0000 is not allowed"),
    ("a: 1\nb: \x1b[31m", "line 2: the character U+001B is not allowed"),
    ("[" * 100_000, "line 1: nested more than 8 deep"),
    ("{a: " * 100_000, "line 1: nested more than 8 deep"),
    ("a:\n" + "".join(" " * n + "- \n" for n in range(1, 40)) , "line 9: nested more than 8 deep"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD, ids=range(len(BAD)))
def test_a_bad_document_is_refused_with_its_line(text: str, message: str) -> None:
    assert message in refusal(text)
    assert refusal(text).startswith("p2px.yaml line ")


def test_another_encoding_is_refused_by_name() -> None:
    assert refusal("a: 1".encode("utf-16")) == "p2px.yaml: expected UTF-8, found UTF-16"
    assert refusal(b"a: 1\nb: \xe9\n") == "p2px.yaml line 2: expected UTF-8, found byte 0xe9"
    assert refusal("a: 1".encode("utf-16-le")) == "p2px.yaml line 1: the character U+0000 is not allowed"


def test_a_bomb_of_aliases_ends_at_its_first_anchor() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    assert "an anchor (&a) is not allowed" in refusal(bomb)


def outcome(data: bytes) -> Table | str:
    try:
        return parse(data, "x")
    except BadConfigFile as error:
        return error.message


@given(
    st.one_of(
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.text("ab:-? []{},\n\t#&*!|>'\"%@`~0", max_size=60).map(str.encode),
        st.binary(max_size=200),
    )
)
def test_any_bytes_are_read_or_refused_in_one_printable_line(data: bytes) -> None:
    match outcome(data):
        case Table():
            pass
        case message:
            assert message.startswith("x")
            assert message.isprintable()
