"""Whether nodes agree, and who does not."""

from p2pcli.cli.render.agreement import agreement_lines, compare

SAME = (17, "aa" * 32)


def test_equal_states_agree():
    result = compare({"BTC/USD": {"client1": SAME, "client2": SAME}})
    assert (result.ok, result.problems) == (True, [])
    assert agreement_lines(result) == [
        "BTC/USD  client1, client2 agree at sequence 17  digest aaaaaaaaaaaaaaaa"
    ]


def test_the_one_that_differs_is_named_against_the_majority():
    result = compare({"BTC/USD": {"client1": (17, "bb" * 32), "client2": SAME, "client3": SAME}})
    assert not result.ok
    assert result.problems == [
        "BTC/USD: client1 has digest bbbbbbbbbbbbbbbb at sequence 17, the others aaaaaaaaaaaaaaaa"
    ]
    assert "differ" in agreement_lines(result)[0]


def test_the_one_that_is_behind_is_named():
    result = compare({"BTC/USD": {"client1": SAME, "client2": SAME, "client3": (12, "cc" * 32)}})
    assert result.problems == ["BTC/USD: client3 is at sequence 12, the others at 17"]


def test_a_node_that_could_not_be_asked_is_a_problem():
    assert not compare({"BTC/USD": {"client1": SAME}}, ["client2: nothing listens"]).ok
