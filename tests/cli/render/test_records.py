"""Lines of log files, for people."""

from p2pcli.cli.render.records import record_line, wanted

RECORD = {
    "time": "2026-11-22T20:15:01.123456Z", "level": "warning", "process": "client1", "pid": 7, "logger": "x",
    "event": "order accepted", "order": 7, "market": "BTC/USD",
}  # fmt: skip


def test_a_record_is_its_time_level_event_and_fields():
    assert record_line(RECORD, "") == "20:15:01.123 warning order accepted  order=7  market=BTC/USD"


def test_a_line_that_is_no_record_is_shown_as_it_is_but_harmless():
    assert record_line({"event": "x"}, "Trace\x1b[2J") == "Trace\\x1b[2J"


def test_records_are_chosen_by_order_and_level():
    assert wanted(RECORD, "7", "info")
    assert not wanted(RECORD, "8", "info")
    assert not wanted(RECORD, None, "error")
    assert wanted({"event": "no level"}, None, "info")
