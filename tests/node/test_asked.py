"""Requests are named alike wherever they are met, however many came together and however oddly they count."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcli.node.asked import Asked, asked, by_request, size_of

SESSION = "3f9a1c20d4"


def told(requests: Asked | None, outcomes: list[int]) -> list[tuple[str | None, list[int]]]:
    return [(field.get("request"), list(part)) for field, part in by_request(requests, outcomes)]


def test_each_request_has_its_own_outcomes():
    requests = asked(SESSION, [4, 9], [2, 1], 3)
    assert told(requests, [1, 2, 3]) == [(f"{SESSION}-4", [1, 2]), (f"{SESSION}-9", [3])]


def test_what_a_node_asks_itself_has_no_name():
    assert told(None, [1]) == [(None, [1])]


def test_single_commands_numbered_on_travel_as_one_number():
    assert asked(SESSION, [7, 8, 9], [1, 1, 1], 3) == Asked(SESSION, 7)


@given(st.lists(st.tuples(st.integers(0, (1 << 64) - 1), st.integers(1, 1000)), min_size=1, max_size=20))
def test_names_survive_the_log_and_the_room_kept_for_them(pairs):
    ids, counts = [number for number, _ in pairs], [count for _, count in pairs]
    requests = asked(SESSION, ids, counts, sum(counts))
    data = msgspec.msgpack.encode(requests)
    assert len(data) <= size_of(requests)
    found = told(msgspec.msgpack.decode(data, type=Asked), list(range(sum(counts))))
    assert [(name, len(part)) for name, part in found] == [
        (f"{SESSION}-{number}", count) for number, count in pairs
    ]
    assert [one for _, part in found for one in part] == list(range(sum(counts)))


ODD = [Asked(SESSION, 1, [5], [0]), Asked(SESSION, 1, [], [-3]), Asked(SESSION, 1, [5])]


@pytest.mark.parametrize("requests", ODD)
def test_numbers_that_do_not_fit_the_outcomes_end_the_list(requests):
    assert all(len(part) == 1 for _, part in told(requests, [1, 2, 3]))
