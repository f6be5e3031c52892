# ruff: noqa: E501  (one case a line)
"""What is said about a setting that is wrong: file, line, key, expected, found, and what was meant."""

from pathlib import Path

import pytest

from p2pcli.config import BadSetting, UnknownSetting, load
from p2pcli.errors import BadInput

EMPTY: dict[str, str] = {}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def complaint(
    cwd: Path, yaml: str = "", env: str = "", environ: dict[str, str] = EMPTY, **flags: object
) -> BadInput:
    if yaml:
        (cwd / "p2px.yaml").write_text(yaml)
    if env:
        (cwd / ".env").write_text(env)
    with pytest.raises(BadInput) as caught:
        load(
            cwd,
            {"HOME": "/nowhere", **environ},
            flags={key.replace("__", "."): value for key, value in flags.items()},
        )
    assert "\n" not in caught.value.message
    return caught.value


WRONG = [
    ("cluster: {nodes: three}", "1: cluster.nodes: expected a whole number from 1 to 64, found 'three'"),
    ("\n\ncluster:\n  nodes: 010", "4: cluster.nodes: expected a whole number from 1 to 64, found '010'"),
    ("cluster: {nodes: 0}", "1: cluster.nodes: expected a whole number from 1 to 64, found '0'"),
    ("cluster: {nodes: 3.0}", "1: cluster.nodes: expected a whole number from 1 to 64, found '3.0'"),
    ("cluster: {nodes: yes}", "1: cluster.nodes: expected a whole number from 1 to 64, found 'yes'"),
    ("cluster: {nodes: }", "1: cluster.nodes: expected a whole number from 1 to 64, found nothing"),
    ("cluster: {nodes: [3]}", "1: cluster.nodes: expected a whole number from 1 to 64, found a list"),
    ("cluster: {nodes: {a: 3}}", "1: cluster.nodes: expected a whole number from 1 to 64, found a mapping"),
    ("cluster: {name: My Cluster}", "1: cluster.name: expected a name of 1 to 32 small letters, digits, - and _, found 'My Cluster'"),
    ("cluster: {name: ../x}", "1: cluster.name: expected a name of 1 to 32 small letters, digits, - and _, found '../x'"),
    ("cluster: {ready_timeout: 1:30}", "1: cluster.ready_timeout: expected a duration from 1s to 1h, found '1:30'"),
    ("cluster: {ready_timeout: 30}", "1: cluster.ready_timeout: expected a duration from 1s to 1h, found '30'"),
    ("cluster: {ready_timeout: 2h}", "1: cluster.ready_timeout: expected a duration from 1s to 1h, found '2h'"),
    ("log: {durable: no}", "1: log.durable: expected one of true, false, found 'no'"),
    ("log: {durable: off}", "1: log.durable: expected one of true, false, found 'off'"),
    ("log: {url: mysql}", "1: log.url: expected sqlite, sqlite:///FOLDER or etcd://HOST:PORT,HOST:PORT,...[/PREFIX], found 'mysql'"),
    ("logging: {level: loud}", "1: logging.level: expected one of debug, info, warning, error, found 'loud'"),
    ("logging: {file_size: 10}", "1: logging.file_size: expected a size from 4KiB to 10GiB, found '10'"),
    ("logging: {folder: \"a\\0b\"}", "1: logging.folder: expected the path of a folder, found 'a\\x00b'"),
    ("node: {performance_threshold: 0.5ms}", "1: node.performance_threshold: expected a duration from 1ms to 1h, or 0s: never, found '0.5ms'"),
    ("registry:\n  grapes:\n  - a:1\n  - b", "4: registry.grapes: expected HOST:PORT like 127.0.0.1:30001, found 'b'"),
    ("registry: {grapes: 'a:1'}", "1: registry.grapes: expected a list of at most 16, each HOST:PORT like 127.0.0.1:30001, found one value"),
    ("registry: {http_ports: [70000]}", "1: registry.http_ports: expected a whole number from 1 to 65535, found '70000'"),
    ("registry: {http_ports: [[1]]}", "1: registry.http_ports: expected a whole number from 1 to 65535, found a list"),
    ("registry: {http_ports: [" + "1," * 17 + "]}", "1: registry.http_ports: expected a list of at most 16, each a whole number from 1 to 65535, found 17"),
    ("cluster: 3", "1: cluster: expected a mapping of settings, found one value"),
    ("cluster: [nodes]", "1: cluster: expected a mapping of settings, found a list"),
    ("markets: BTC/USD", "1: markets: expected a list of markets, found one value"),
    ("markets: []", "1: markets: expected a list of markets, found an empty list"),
    ("markets:", "1: markets: expected a list of markets, found nothing"),
    ("markets: {BTC/USD: 1}", "1: markets: expected a list of markets, found a mapping"),
    ("markets: [btc/usd]", "1: markets.1.symbol: expected BASE/QUOTE in capital letters and digits, like BTC/USD, found 'btc/usd'"),
    ("markets: [[A/B]]", "1: markets: expected a symbol or a mapping, found a list"),
    ("markets:\n- A/B\n- tick: 1", "3: markets: entry 2 has no symbol"),
    ("markets:\n- A/B\n- C/D\n- A/B", "4: markets: A/B is there twice"),
    ("markets:\n- symbol: A/B\n  tick: 1e-2", "3: markets.1.tick: expected a decimal number above zero like 0.01, with at most 12 digits before the point and 8 after, found '1e-2'"),
    ("markets:\n- symbol: A/B\n  tick: 0.05\n  max_price: 1.01", "4: markets.1.max_price: expected a multiple of the tick 0.05, found 1.01"),
    ("markets:\n- symbol: A/B\n  lot: 2\n  max_quantity: 1", "4: markets.1.max_quantity: expected a multiple of the lot 2, found 1"),
    ("markets:\n- symbol: A/B\n  tick: 2000000000", "2: market A/B: max_price must be 1 to 4611686018427387903, not 0"),
    ("markets:\n- symbol: A/B\n  self_trade: maybe", "3: markets.1.self_trade: expected one of allow, cancel-newest, cancel-oldest, cancel-both, found 'maybe'"),
    ("markets:\n- symbol: A/B\n  price_band: 5 %", "3: markets.1.price_band: expected a percentage from 0% to 10000% with at most two decimals, like 5%, found '5 %'"),
]  # fmt: skip


@pytest.mark.parametrize(("yaml", "message"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_value_is_named_with_file_and_line_and_key(project: Path, yaml: str, message: str) -> None:
    error = complaint(project, yaml)
    assert error.message == f"{project}/p2px.yaml line {message}"
    assert type(error) is BadSetting


UNKNOWN = [
    ("clutser: {nodes: 3}", "1: unknown setting 'clutser'", "did you mean cluster?"),
    ("cluster:\n  noeds: 3", "2: unknown setting 'cluster.noeds'", "did you mean cluster.nodes?"),
    ("nodes: 3", "1: unknown setting 'nodes'", "did you mean cluster.nodes?"),
    (
        "markets:\n- symbol: A/B\n  ticks: 1",
        "3: unknown setting 'markets.1.ticks'",
        "did you mean markets.1.tick?",
    ),
    ("<<: {a: 1}", "1: unknown setting '<<'", "p2px config show lists every setting"),
    ("cluster: {42: 1}", "1: unknown setting 'cluster.42'", None),
]


@pytest.mark.parametrize(("yaml", "message", "hint"), UNKNOWN, ids=range(len(UNKNOWN)))
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(
    project: Path, yaml: str, message: str, hint: str | None
) -> None:
    error = complaint(project, yaml)
    assert type(error) is UnknownSetting
    assert error.message == f"{project}/p2px.yaml line {message}"
    assert hint is None or error.hint == hint


def test_variables_are_named_in_complaints_about_them(project: Path) -> None:
    error = complaint(project, environ={"P2PX_CLUSTER_NODES": "x"})
    assert error.message == (
        "environment P2PX_CLUSTER_NODES: cluster.nodes: expected a whole number from 1 to 64, found 'x'"
    )
    error = complaint(project, environ={"P2PX_CLUSTRE_NODES": "3"})
    assert error.message == "environment: unknown setting 'P2PX_CLUSTRE_NODES'"
    assert error.hint == "did you mean P2PX_CLUSTER_NODES?"
    error = complaint(project, environ={"P2PX_MARKETS": "A/B,,C/D"})
    assert error.message == (
        "environment P2PX_MARKETS: markets.2.symbol: expected BASE/QUOTE in capital letters and digits, "
        "like BTC/USD, found nothing"
    )


def test_lines_of_the_env_file_are_named_in_complaints_about_them(project: Path) -> None:
    error = complaint(project, env="A=1\nP2PX_LOG_DURABLE=1\n")
    assert error.message == f"{project}/.env line 2: log.durable: expected one of true, false, found '1'"
    error = complaint(project, env="P2PX_LOG_DURABEL=true\n")
    assert error.message == f"{project}/.env line 1: unknown setting 'P2PX_LOG_DURABEL'"
    assert error.hint == "did you mean P2PX_LOG_DURABLE?"
    error = complaint(project, env="P2PX_CONFIG=x.yaml\n")
    assert error.message == (
        f"{project}/.env line 1: P2PX_CONFIG is read from the environment only, before any file"
    )


def test_flags_are_checked_like_everything_else(project: Path) -> None:
    assert complaint(project, cluster__nodes=0).message == (
        "flag: cluster.nodes: expected a whole number from 1 to 64, found '0'"
    )
    assert complaint(project, cluster__noeds=1).hint == "did you mean cluster.nodes?"
    assert complaint(project, cluster__nodes=1.5).message == (
        "flag: cluster.nodes: expected text, a number or a list, found float"
    )


def test_a_mistake_shows_although_a_stronger_source_hides_it(project: Path) -> None:
    assert "found 'x'" in complaint(project, "cluster: {nodes: x}", cluster__nodes=3).message
    assert "found 'b'" in complaint(project, "markets: [b]", markets=["A/B"]).message


def test_a_complaint_about_a_value_gives_an_example(project: Path) -> None:
    assert complaint(project, "cluster: {ready_timeout: x}").hint == "for example cluster.ready_timeout: 30s"
