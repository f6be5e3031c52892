"""History writes what was queued, however much; on a disk that is full, when there is room again."""

import logging
import threading
from types import SimpleNamespace

import msgspec
import pytest
from etcd_members import eventually

from p2pcli.market.commands import Cancel
from p2pcli.node.body import Group, encode_body
from p2pcli.node.history import ROWS, History, HistoryBroken
from p2pcli.node.requests import encode


def applied(sequence: int) -> SimpleNamespace:
    """What a machine says of an entry without commands."""
    return SimpleNamespace(
        sequence=sequence,
        time_ns=1,
        first_order=1,
        first_trade=1,
        encoded=b"",
        producer="n",
        groups=[],
        notes=[],
    )


def test_a_full_disk_is_named_and_what_waits_is_written_when_there_is_room(tmp_path, caplog):
    history = History(tmp_path / "history.db")
    (pages,) = history._writer.execute("PRAGMA page_count").fetchone()
    history._writer.execute(f"PRAGMA max_page_count = {pages}")
    writing = threading.Thread(target=history.run, daemon=True)
    writing.start()
    with caplog.at_level(logging.WARNING):
        history.add(applied(1), bytes(1 << 16))
        eventually(lambda: "history waits" in caplog.text, 10)
        assert "database or disk is full" in caplog.text
        with pytest.raises(HistoryBroken, match="database or disk is full"):
            history.make_durable(1, 0.0)
        history._writer.execute("PRAGMA max_page_count = 1000")
        eventually(lambda: history.written == 1, 10)
        assert "history is written again, up to sequence 1" in caplog.text
    history.stop()
    writing.join()
    history.close()


@pytest.mark.parametrize("entries", [1, ROWS, 2 * ROWS + 1])
def test_what_waits_together_is_written_together(tmp_path, entries):
    history = History(tmp_path / "history.db")
    cancelled = [Cancel(order) for order in range(1, 4)]
    for sequence in range(1, entries + 1):
        # Every third entry changes three orders, every other one none.
        commands = cancelled if sequence % 3 == 0 else []
        one = applied(sequence)
        one.groups, one.notes = [Group("ann", commands)], [[1, 0] * len(commands)]
        one.encoded = encode(one.notes)
        history.add(one, encode_body(sequence, [("ann", msgspec.Raw(encode(commands)))]))
    history.stop()
    history.run()
    found = list(history._archive.after(0))
    assert [(each.sequence, len(each.outcomes[0])) for each in found] == [
        (sequence, 3 * (sequence % 3 == 0)) for sequence in range(1, entries + 1)
    ]
    touching = [each.sequence for each in history._archive.touching([2], entries)]
    assert touching == list(range(3, entries + 1, 3))
    history.close()


def test_entries_of_several_pieces_are_all_written_for_who_waits(tmp_path):
    history = History(tmp_path / "history.db")
    count = 2 * ROWS + 1
    for sequence in range(1, count + 1):
        history.add(applied(sequence), b"%d" % sequence)
    writing = threading.Thread(target=history.run)
    writing.start()
    history.make_durable(count, 20)
    assert (history.written, history.waiting) == (count, 0)
    found = history._writer.execute("SELECT sequence, body FROM entries ORDER BY sequence").fetchall()
    assert found == [(sequence, b"%d" % sequence) for sequence in range(1, count + 1)]
    history.stop()
    writing.join()
    history.close()
