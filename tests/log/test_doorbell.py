"""Facts about the doorbell."""

import threading
import time

import pytest

from p2pcli.log.doorbell import Doorbell


@pytest.fixture
def bells(tmp_path):
    opened = [Doorbell(tmp_path / "bell"), Doorbell(tmp_path / "bell")]
    yield opened
    for bell in opened:
        bell.close()


def took(bell, timeout):
    begin = time.monotonic()
    bell.wait(timeout)
    return time.monotonic() - begin


def test_a_ring_wakes_who_waits_at_another_bell(bells):
    ringer, listener = bells
    thread = threading.Thread(target=listener.wait, args=(60,))
    thread.start()
    while thread.is_alive():
        ringer.ring()
        thread.join(0.01)


def test_a_ring_before_the_wait_is_not_lost(bells):
    ringer, listener = bells
    ringer.ring()
    assert took(listener, 60) < 30


def test_many_rings_are_heard_as_one(bells):
    ringer, listener = bells
    for _ in range(2000):
        ringer.ring()
    listener.wait(60)
    assert took(listener, 0.05) >= 0.04


def test_silence_lasts_for_the_timeout(bells):
    assert took(bells[1], 0.05) >= 0.04


def test_a_second_listener_waits_for_its_timeout_beside_the_first(bells):
    ringer, listener = bells
    first = threading.Thread(target=listener.wait, args=(60,))
    first.start()
    while not listener._listening.locked():
        time.sleep(0.001)
    assert took(listener, 0.05) >= 0.04
    ringer.ring()
    first.join(30)
    assert not first.is_alive()


def test_a_bell_that_cannot_listen_lets_the_poll_do_it(bells):
    deaf = bells[1]
    events, deaf._events = deaf._events, -1
    assert took(deaf, 0.05) >= 0.04
    deaf._events = events


def test_a_closed_bell_waits_for_nothing(tmp_path):
    bell = Doorbell(tmp_path / "bell")
    bell.close()
    assert took(bell, 60) < 30
    bell.close()
