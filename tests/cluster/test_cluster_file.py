"""The cluster file: settings that read back as what they were."""

from pathlib import Path

from p2pcli.cluster.cluster_file import cluster_file
from p2pcli.config import load
from p2pcli.rpc.certificates import new_authority

CERTIFICATE = new_authority("default", 1_800_000_000).certificate


def read(folder: Path, text: str):
    (folder / "p2px.yaml").write_text(text)
    return load(folder, {"XDG_CONFIG_HOME": str(folder), "HOME": str(folder)})


def configured(folder: Path, **flags: object):
    keys = {key.replace("__", "."): value for key, value in flags.items()}
    return load(folder, {"XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}, None, keys)


def test_files_for_the_logs_door_are_named_and_nothing_that_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "pw").write_text("open sesame")
    flags = {
        "log__url": "etcd://10.0.0.1:2379",
        "log__user": "p2px",
        "log__password_file": str(tmp_path / "pw"),
    }
    wanted = configured(tmp_path / "a", **flags, log__ca="/etc/etcd/ca.pem")
    text = cluster_file(wanted, CERTIFICATE, [])
    found = read(tmp_path, text).log
    assert (found.url, found.user, found.cert) == ("etcd://10.0.0.1:2379", "p2px", None)
    assert (found.ca, found.password_file) == (Path("/etc/etcd/ca.pem"), tmp_path / "pw")
    assert "sesame" not in text


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "p2px.yaml").write_text(
        "markets:\n  - BTC/USD\n  - {symbol: ETH/USD, tick: 0.05, price_band: 5%, self_trade: cancel-both}\n"
        "market_defaults: {lot: 0.001}\n"
    )
    wanted = configured(
        tmp_path / "a", cluster__name="test-1", cluster__host="10.0.0.1", log__url='sqlite:///a b/"c\\'
    )
    found = read(tmp_path, cluster_file(wanted, CERTIFICATE, []))
    assert found.markets == wanted.markets
    assert found.cluster.name == "test-1"
    assert found.cluster.host == "10.0.0.1"
    assert found.cluster.ca == CERTIFICATE
    assert found.log.url == wanted.log.url
    assert found.registry.grapes == ("10.0.0.1:30001", "10.0.0.1:40001")
    assert found.registry.free_ports is False


def test_a_cluster_that_listens_everywhere_is_found_at_this_machines_address(tmp_path: Path) -> None:
    wanted = configured(tmp_path, cluster__host="0.0.0.0", registry__members=1)
    found = read(tmp_path, cluster_file(wanted, CERTIFICATE, ["192.0.2.7", "192.0.2.8"]))
    assert found.cluster.host == "0.0.0.0"
    assert found.registry.grapes == ("192.0.2.7:30001",)


def test_grapes_that_run_elsewhere_are_passed_on(tmp_path: Path) -> None:
    wanted = configured(tmp_path, registry__grapes=("10.0.0.9:30001",), registry__members=0)
    found = read(tmp_path, cluster_file(wanted, CERTIFICATE, []))
    assert found.registry.grapes == ("10.0.0.9:30001",)
    assert found.registry.members == 0
