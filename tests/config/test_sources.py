"""The whole way: files and variables on a real disk, through to typed values, origins and complaints."""

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from p2pcli.config import BadConfigFile, Config, load
from p2pcli.config.sources import user_folder
from p2pcli.errors import BadInput
from p2pcli.market.commands import SelfTrade

EMPTY: dict[str, str] = {}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def settings(
    cwd: Path, yaml: str = "", env: str = "", environ: dict[str, str] = EMPTY, **flags: object
) -> Config:
    if yaml:
        (cwd / "p2px.yaml").write_text(yaml)
    if env:
        (cwd / ".env").write_text(env)
    environ = {"HOME": str(cwd.parent / "home"), **environ}
    return load(cwd, environ, flags={key.replace("__", "."): value for key, value in flags.items()})


def complaint(
    cwd: Path, yaml: str = "", env: str = "", environ: dict[str, str] = EMPTY, **flags: object
) -> BadInput:
    with pytest.raises(BadInput) as caught:
        settings(cwd, yaml, env, environ, **flags)
    assert "\n" not in caught.value.message
    return caught.value


# -- who wins --------------------------------------------------------------------------------------


def test_without_any_source_everything_is_the_default(project: Path) -> None:
    config = settings(project)
    assert config.cluster.nodes == 3
    assert {row.origin for row in config.found} == {"default"}
    assert config.files == ()


def test_each_source_wins_over_those_below_it(project: Path, home: Path) -> None:
    (home / ".config/p2px").mkdir(parents=True)
    user = home / ".config/p2px/config.yaml"
    user.write_text(
        "cluster: {nodes: 4, host: h4}\nclient: {node: four}\nlog: {durable: false}\nbreaker: {failures: 4}\n"
    )
    yaml = "# ours\ncluster:\n  nodes: 5\n  host: h5\nclient: {node: five}\nlog: {durable: true}\n"
    env = "\nP2PX_CLUSTER_NODES=6\nP2PX_CLUSTER_HOST=h6\nP2PX_CLIENT_NODE=six\n"
    environ = {"P2PX_CLUSTER_NODES": "7", "P2PX_CLUSTER_HOST": "h7"}
    config = settings(project, yaml, env, environ, cluster__nodes=8)
    assert (config.cluster.nodes, config.origin("cluster.nodes")) == (8, "flag")
    assert (config.cluster.host, config.origin("cluster.host")) == ("h7", "environment P2PX_CLUSTER_HOST")
    assert (config.client.node, config.origin("client.node")) == ("six", f"{project}/.env line 4")
    assert (config.log.durable, config.origin("log.durable")) == (True, f"{project}/p2px.yaml line 6")
    assert (config.breaker.failures, config.origin("breaker.failures")) == (4, f"{user} line 4")
    assert config.origin("breaker.reset_after") == "default"
    assert config.files == (project / ".env", project / "p2px.yaml", user)


def test_p2px_yaml_is_searched_upwards_and_its_env_file_with_it(project: Path) -> None:
    settings(project, "cluster: {nodes: 5}", "P2PX_CLIENT_NODE=six")
    below = project / "a" / "b"
    below.mkdir(parents=True)
    (below / ".env").write_text("P2PX_CLIENT_NODE=not-read\n")
    config = load(below, {"HOME": "/nowhere"})
    assert (config.cluster.nodes, config.client.node) == (5, "six")


def test_a_named_file_replaces_the_search(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("cluster: {nodes: 9}")
    (project / "p2px.yaml").write_text("cluster: {nodes: 5, host: not-read}")
    named = load(project, EMPTY, Path("../other.yaml"))
    assert (named.cluster.nodes, named.cluster.host) == (9, "127.0.0.1")
    assert load(project, {"P2PX_CONFIG": str(other)}).cluster.nodes == 9
    assert load(project, {"P2PX_CONFIG": "/nowhere"}, other).cluster.nodes == 9


def test_flags_that_were_not_given_do_not_count(project: Path) -> None:
    config = settings(project, "cluster: {nodes: 5}\nmarkets: [A/B]", cluster__nodes=None, markets=())
    assert config.cluster.nodes == 5
    assert [market.symbol for market in config.markets] == ["A/B"]


def test_an_empty_variable_is_one_that_is_not_set(project: Path) -> None:
    config = settings(
        project, env="P2PX_CLUSTER_HOST=\n", environ={"P2PX_CLUSTER_NODES": "", "P2PX_HOME": ""}
    )
    assert (config.cluster.nodes, config.origin("home")) == (3, "default")


def test_a_section_whose_settings_are_commented_out_is_fine(project: Path) -> None:
    assert settings(project, "cluster:\n  # nodes: 5\nlog: {}\n").cluster.nodes == 3


def test_variables_of_other_programs_are_left_alone(project: Path) -> None:
    environ = {"PATH": "/bin", "_P2PX_COMPLETE": "bash_source", "P2PXY": "1", "P2PX_DEBUG": "1"}
    assert settings(project, env="PATH=/x\nSECRET=1\n", environ=environ).cluster.nodes == 3


# -- values ----------------------------------------------------------------------------------------


def test_values_have_the_types_the_structs_promise(project: Path) -> None:
    config = settings(
        project,
        "registry: {http_ports: [1, 2], grapes: ['a:1']}\nlogging: {file_size: 64kB, folder: ../logs}\n"
        "node: {performance_threshold: 250ms}\n"
        "market_defaults: {self_trade: cancel-both, price_band: 2.5%}\n",
    )
    assert config.registry.http_ports == (1, 2)
    assert config.registry.grapes == ("a:1",)
    assert config.logging.file_size == 64_000
    assert config.logging.folder == project.parent / "logs"
    assert config.node.performance_threshold == 0.25
    assert config.market_defaults.self_trade is SelfTrade.CANCEL_BOTH
    assert config.market_defaults.price_band == 250


def test_a_list_can_be_written_on_one_line_in_a_variable(project: Path) -> None:
    config = settings(project, environ={"P2PX_REGISTRY_GRAPES": "a:1, b:2", "P2PX_MARKETS": "A/B,C/D"})
    assert config.registry.grapes == ("a:1", "b:2")
    assert [(market.number, market.symbol) for market in config.markets] == [(1, "A/B"), (2, "C/D")]


def test_an_empty_list_is_a_value(project: Path) -> None:
    assert settings(project, "registry:\n  http_ports: []\n  grapes:\n").registry.http_ports == ()


def test_yaml_words_and_numbers_are_taken_as_they_are_written(project: Path) -> None:
    config = settings(
        project, "cluster: {name: no, host: '127.0.0.1'}\nmarket_defaults: {tick: 0.010, lot: 1}"
    )
    assert config.cluster.name == "no"
    assert config.market_defaults.tick == "0.010"


@pytest.mark.parametrize("folder", ["/abs/logs", "~/logs", "logs", "./a/../logs", ""])
def test_a_folder_is_relative_to_the_file_that_names_it(project: Path, folder: str) -> None:
    expected = {
        "/abs/logs": Path("/abs/logs"),
        "~/logs": project.parent / "home" / "logs",
        "": None,
    }.get(folder, project / "logs")
    assert settings(project, f"logging: {{folder: '{folder}'}}").logging.folder == expected


def test_state_has_a_home_of_its_own(project: Path, home: Path) -> None:
    assert settings(project).home == home / ".local/state/p2px"
    assert settings(project, environ={"XDG_STATE_HOME": "/state"}).home == Path("/state/p2px")
    assert settings(project, environ={"P2PX_HOME": "here"}).home == project / "here"
    assert settings(project, env="P2PX_HOME=/there\n").home == Path("/there")
    assert settings(project, "home:\n", "P2PX_HOME=\n").home == home / ".local/state/p2px"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs is asked itself")
@pytest.mark.parametrize(
    "xdg", [{}, {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"}, {"XDG_STATE_HOME": ""}]
)
def test_the_user_folders_are_those_of_platformdirs(
    xdg: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in xdg.items():
        monkeypatch.setenv(name, value)
    folders = platformdirs.PlatformDirs("p2px", appauthor=False)
    home = Path(os.path.expanduser("~"))
    assert user_folder("config", xdg, home) == folders.user_config_path
    assert user_folder("state", xdg, home) == folders.user_state_path


# -- files that cannot be read ---------------------------------------------------------------------


def test_a_named_file_that_is_not_there_is_an_error(project: Path) -> None:
    with pytest.raises(BadConfigFile) as caught:
        load(project, EMPTY, Path("none.yaml"))
    assert caught.value.message == f"{project}/none.yaml: there is no such configuration file"


@pytest.mark.parametrize("name", ["p2px.yaml", ".env"])
def test_a_folder_or_a_pipe_is_no_configuration(project: Path, name: str) -> None:
    (project / name).mkdir()
    assert complaint(project).message == f"{project}/{name}: expected a file, found something else"
    (project / name).rmdir()
    os.mkfifo(project / name)  # reading it would wait for ever
    assert complaint(project).message == f"{project}/{name}: expected a file, found something else"


def test_a_link_to_nothing_is_not_silently_passed_over(project: Path) -> None:
    (project / "p2px.yaml").symlink_to("gone.yaml")
    (project.parent / "p2px.yaml").write_text("cluster: {nodes: 5}")
    assert complaint(project).message == f"{project}/p2px.yaml: there is no such configuration file"


@pytest.mark.parametrize("name", ["p2px.yaml", ".env"])
def test_an_oversize_file_is_refused(project: Path, name: str) -> None:
    (project / name).write_bytes(b"#" * ((1 << 20) + 1))
    assert complaint(project).message == f"{project}/{name}: expected at most 1048576 bytes, found more"
    (project / name).write_bytes(b"#" * (1 << 20))
    assert settings(project).cluster.nodes == 3


def test_a_file_that_fails_to_read_is_an_error(project: Path) -> None:
    with pytest.raises(BadConfigFile) as caught:
        load(project, EMPTY, Path("/proc/self/mem"))  # its first bytes are never mapped
    assert caught.value.message == "'/proc/self/mem': cannot be read: Input/output error"


def test_a_nul_in_a_name_is_an_error_and_no_traceback(project: Path) -> None:
    with pytest.raises(BadConfigFile, match="cannot be read"):
        load(project, EMPTY, Path("a\0b"))


# -- start-up --------------------------------------------------------------------------------------


def test_what_is_not_there_is_not_imported(project: Path) -> None:
    script = (
        "import sys, pathlib; from p2pcli.config import load;"
        "load(pathlib.Path(sys.argv[1]), {'HOME': '/nowhere'});"
        "print([name for name in ('yaml', 'dotenv', 'platformdirs', 'difflib') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(project)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
