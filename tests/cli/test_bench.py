"""``p2px bench``: a short run against the shared cluster, its result, and a comparison with it."""

import pytest

pytestmark = pytest.mark.slow

NODES = {"client1", "client2", "client3"}
USERS = {*NODES, "registry1", "registry2", "supervisor", "bench"}


def test_a_result_names_every_mode_and_can_be_compared_with(p2px, tmp_path):
    own = p2px.place("1@0.02")
    said = p2px("bench", "--orders", "300", "--clients", "2", "--spread", "--resting", "150", "-o", "json")
    assert said.code == 0, said.err
    result = said.json
    assert [each["mode"] for each in result["modes"]] == ["closed", "pipelined", "batched", "open"]
    for each in result["modes"]:
        assert each["orders"] == 300
        assert 0 < each["p50"] <= each["p90"] <= each["p99"] <= each["p99_9"] <= each["max"]
        assert sum(each["histogram"].values()) == (300 if each["mode"] != "batched" else 4)
        assert each["orders_per_entry"] > 0
        assert set(each["cpu_us"]) == set(each["memory_mib"]) == USERS
        assert set(each["lag_ms"]) == NODES
    assert 0 < result["fdatasync_us"] <= result["fdatasync_p99_us"]
    assert (result["markets"], result["resting"], result["nodes"]) == (["BTC/USD"], 150, 3)
    assert result["log"].startswith("sqlite")
    assert {"processor", "cores", "system", "python", "sqlite", "p2px"} == set(result["machine"])
    book = p2px("book", "show", "-o", "json").json
    assert len(book["bids"]) + len(book["asks"]) >= 2, "what shall rest does"
    (tmp_path / "before.json").write_text(said.out)
    again = p2px(
        *("bench", "--seconds", "200ms", "--mode", "batched", "--batch", "7", "--histogram"),
        *("--compare", str(tmp_path / "before.json")),
    )
    assert again.code == 0, again.err
    assert "batched: frames answered within" in again.out
    assert "x the orders a second" in again.out
    assert "not the same as in" in again.err
    assert "; clients 1, was 2; batch 7, was 100; resting 0, was 150" in again.err.replace(
        "before.json:", ";"
    )
    assert {one["owner"] for one in p2px("order", "ls", "-o", "json").json} == {"client1", "resting"}
    assert p2px("order", "show", own, "-o", "json").json["status"] == "open"


def test_a_file_that_is_no_result_is_named(p2px, tmp_path):
    (tmp_path / "no.json").write_text("[]")
    said = p2px("bench", "--compare", str(tmp_path / "no.json"))
    assert said.code == 2
    assert "no.json is no result of p2px bench" in said.err
    assert p2px("bench", "--spread", "--node", "client1").code == 2
    assert p2px("bench", "--seconds", "0s").code == 2
