"""``p2px bench``: a short run against the shared cluster, its result, and a comparison with it."""

import pytest

pytestmark = pytest.mark.slow

FIGURES = {"mode", "orders", "seconds", "orders_per_s", "p50", "p90", "p99", "p99_9", "max", "histogram"}


def test_a_result_names_every_mode_and_can_be_compared_with(p2px, tmp_path):
    said = p2px("bench", "--orders", "300", "--rate", "1000", "--clients", "2", "--spread", "-o", "json")
    assert said.code == 0, said.err
    assert [each["mode"] for each in said.json["modes"]] == ["closed", "pipelined", "batched", "open"]
    for each in said.json["modes"]:
        assert each.keys() == FIGURES
        assert each["orders"] == 300
        assert 0 < each["p50"] <= each["p99"] <= each["max"]
        assert sum(each["histogram"].values()) == (300 if each["mode"] != "batched" else 4)
    assert said.json["fdatasync_us"] > 0
    assert set(said.json["cpu_s"]) == {"client1", "client2", "client3"}
    (tmp_path / "before.json").write_text(said.out)
    again = p2px("bench", "--orders", "300", "--mode", "batched", "--compare", str(tmp_path / "before.json"))
    assert again.code == 0, again.err
    assert "x the orders a second" in again.out


def test_a_file_that_is_no_result_is_named(p2px, tmp_path):
    (tmp_path / "no.json").write_text("[]")
    said = p2px("bench", "--compare", str(tmp_path / "no.json"))
    assert said.code == 2
    assert "no.json is no result of p2px bench" in said.err
