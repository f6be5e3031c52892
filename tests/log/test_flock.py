"""Facts about the two doors. Two objects on one folder are as apart as two processes."""

import os
import threading
import time
from contextlib import contextmanager

import pytest

from p2pcli.log.entry import Unavailable
from p2pcli.log.flock import NoTurn, TwoDoors


@pytest.fixture
def doors(tmp_path):
    opened = []

    def open_doors():
        opened.append(TwoDoors(tmp_path))
        return opened[-1]

    yield open_doors
    for each in opened:
        each.close()


@contextmanager
def occupied(doors):
    """Somebody is inside for the length of the block."""
    entered, go = threading.Event(), threading.Event()

    def stay():
        entered.set()
        go.wait(30)

    thread = threading.Thread(target=doors.inside, args=(stay, 30))
    thread.start()
    assert entered.wait(30)
    try:
        yield
    finally:
        go.set()
        thread.join()


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_job_runs_inside_and_returns_its_result(doors):
    assert doors().inside(lambda: 7, 1) == 7


def test_what_a_job_raises_comes_out_and_frees_the_doors(doors):
    one, other = doors(), doors()
    with pytest.raises(ZeroDivisionError):
        one.inside(lambda: 1 // 0, 1)
    assert other.inside(lambda: 7, 1) == 7


def test_what_a_job_raises_comes_out_of_the_doorman_as_well(doors):
    one, other = doors(), doors()
    failures = []

    def fail():
        try:
            other.inside(lambda: 1 // 0, 30)
        except ZeroDivisionError as error:
            failures.append(error)

    thread = threading.Thread(target=fail)
    with occupied(one):
        thread.start()
        until(lambda: other._queueing)
    thread.join()
    assert len(failures) == 1
    assert one.inside(lambda: 7, 1) == 7


def test_nobody_is_inside_with_another(doors):
    shared = [doors(), doors(), doors()]
    inside, worst, total = [], [0], [0]

    def job():
        inside.append(1)
        worst[0] = max(worst[0], len(inside))
        total[0] += 1
        inside.pop()

    def work(own):
        for _ in range(100):
            own.inside(job, 30)

    threads = [threading.Thread(target=work, args=(each,)) for each in shared for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == [1]
    assert total == [600]


def test_who_waits_too_long_gets_no_turn_and_the_job_never_runs(doors):
    one, other = doors(), doors()
    ran = []
    with occupied(one), pytest.raises(NoTurn, match=r"within 0\.05 s"):
        other.inside(lambda: ran.append(1), 0.05)
    other.inside(lambda: None, 30)
    assert ran == []


def test_a_thread_of_the_same_object_gets_no_turn_either(doors):
    one = doors()
    with occupied(one), pytest.raises(NoTurn):
        one.inside(lambda: None, 0.05)


def test_a_doorman_left_in_the_queue_keeps_nobody_out(doors):
    one, other, third = doors(), doors(), doors()
    with occupied(one), pytest.raises(NoTurn):
        other.inside(lambda: None, 0.05)
    assert third.inside(lambda: 7, 30) == 7
    until(lambda: not other._queueing)
    assert one.inside(lambda: 7, 0) == 7


def test_a_doorman_left_in_the_queue_takes_the_next_errand(doors):
    one, other = doors(), doors()
    results = []
    with occupied(one):
        with pytest.raises(NoTurn):
            other.inside(lambda: results.append("first"), 0.05)
        thread = threading.Thread(target=lambda: other.inside(lambda: results.append("second"), 30))
        thread.start()
        until(lambda: other._errand is not None)
    thread.join()
    assert results == ["second"]


def test_closed_doors_let_nobody_in(doors):
    one = doors()
    one.close()
    one.close()
    with pytest.raises(Unavailable, match="closed"):
        one.inside(lambda: None, 1)


def test_doors_closed_with_a_doorman_in_the_queue_free_the_lock_when_he_gets_there(doors):
    one, other = doors(), doors()
    with occupied(one):
        with pytest.raises(NoTurn):
            other.inside(lambda: None, 0.05)
        doorman = other._doorman
        other.close()
        os.fstat(other._lock)
    doorman.join(30)
    assert not doorman.is_alive()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(other._lock)
    assert one.inside(lambda: 7, 1) == 7


def test_a_removed_lock_file_stops_writing_at_once(doors, tmp_path):
    # Otherwise the next process makes a new file, and both are inside.
    one = doors()
    (tmp_path / "lock").unlink()
    with pytest.raises(Unavailable, match="removed"):
        one.inside(lambda: None, 1)


def test_a_killed_holder_frees_the_lock(doors, tmp_path, nursery):
    holder = nursery.hold(tmp_path)
    holder.reports(1)
    one = doors()
    with pytest.raises(NoTurn):
        one.inside(lambda: None, 0.05)
    holder.kill()
    assert one.inside(lambda: 7, 30) == 7


def test_a_paused_holder_keeps_others_out_until_it_is_killed(doors, tmp_path, nursery):
    holder = nursery.hold(tmp_path)
    holder.reports(1)
    holder.pause()
    one = doors()
    with pytest.raises(NoTurn):
        one.inside(lambda: None, 0.05)
    holder.kill()
    assert one.inside(lambda: 7, 30) == 7
