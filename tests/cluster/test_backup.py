"""The file of a backup, and whose markets a restored cluster has."""

import errno
import os

import msgspec
import pytest

from p2pcli.cluster.backup import NotWritten, OtherMarkets, new_file, with_markets
from p2pcli.cluster.plan import ClusterPlan
from p2pcli.market.instrument import Instrument

BTC = Instrument("BTC/USD", 1, tick=1_000_000, lot=1, max_price=10**11, max_quantity=10**14)
ETH = msgspec.structs.replace(BTC, symbol="ETH/USD", number=2)
PLAN = ClusterPlan(name="default", nodes=(), members=(), markets=(BTC,))


def test_a_file_appears_whole_or_not_at_all_and_replaces_nothing(tmp_path):
    path = tmp_path / "backup"
    with pytest.raises(TypeError), new_file(path) as file:
        file.write("text")
    assert os.listdir(tmp_path) == []
    with new_file(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert os.listdir(tmp_path) == ["backup"]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"whole", 0o600)
    with pytest.raises(NotWritten, match="is there already"), new_file(path) as file:
        pass
    with pytest.raises(NotWritten, match="No such file or directory"), new_file(tmp_path / "no" / "x"):
        pass
    assert path.read_bytes() == b"whole"


def test_a_file_system_without_links_is_good_enough(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with new_file(tmp_path / "backup") as file:
        file.write(b"whole")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


def test_a_new_cluster_has_the_markets_of_the_backup_and_no_others():
    assert with_markets(PLAN, [ETH], is_new=True).markets == (ETH,)


def test_a_cluster_that_was_there_keeps_its_markets_and_gets_those_it_lacks():
    assert with_markets(PLAN, [BTC, ETH], is_new=False).markets == (BTC, ETH)


@pytest.mark.parametrize("changes", [{"tick": 1}, {"number": 2}, {"symbol": "XYZ/USD"}])
def test_a_market_with_other_rules_or_of_the_same_number_is_refused(changes):
    with pytest.raises(OtherMarkets, match="cluster default has market BTC/USD, number 1, which is not like"):
        with_markets(PLAN, [msgspec.structs.replace(BTC, **changes)], is_new=False)
