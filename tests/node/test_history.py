"""History on a disk that is full, and again when there is room."""

import logging
import threading
from types import SimpleNamespace

import pytest
from etcd_members import eventually

from p2pcli.node.history import History, HistoryBroken


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
