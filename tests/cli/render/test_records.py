"""Lines of log files, for people."""

from p2pcli.cli.render.records import Wanted, record_line

RECORD = {
    "time": "2026-11-22T20:15:01.123456Z", "level": "warning", "process": "client1", "pid": 7, "logger": "x",
    "event": "order accepted", "order": 7, "market": "BTC/USD",
}  # fmt: skip


def test_a_record_is_its_time_level_event_and_fields():
    assert record_line(RECORD, "") == "20:15:01.123 warning order accepted  order=7  market=BTC/USD"


def test_a_line_that_is_no_record_is_shown_as_it_is_but_harmless():
    assert record_line({"event": "x"}, "Trace\x1b[2J") == "Trace\\x1b[2J"


def test_records_are_chosen_by_order_request_and_level():
    assert Wanted("info", "7").takes(RECORD)
    assert not Wanted("info", "8").takes(RECORD)
    assert not Wanted("error").takes(RECORD)
    assert Wanted("info").takes({"event": "no level"})
    asked = RECORD | {"request": "3f9a1c20d4-1"}
    assert Wanted("info", "7", "3f9a1c20d4-1").takes(asked)
    assert not Wanted("info", "7", "3f9a1c20d4-2").takes(asked)
    assert not Wanted("info", "8", "3f9a1c20d4-1").takes(asked)
    assert not Wanted("info", request="3f9a1c20d4-1").takes(RECORD)
