"""The life of a child, with time turned by hand."""

from p2pcli.cluster.report import State
from p2pcli.cluster.supervision import Action, Policy, Supervision

POLICY = Policy(ready_within=30, stable_after=1, first_delay=0.1, longest_delay=1, stop_within=5, misses=3)


def starting(at: float = 0.0) -> Supervision:
    life = Supervision(POLICY)
    life.start(at)
    assert life.act(at) is Action.SPAWN
    return life


def running(at: float = 0.0) -> Supervision:
    life = starting(at)
    life.on_ready(at)
    return life


def test_a_new_child_is_stopped_and_wants_nothing() -> None:
    life = Supervision(POLICY)
    assert (life.state, life.act(5), life.wake_at()) == (State.STOPPED, None, None)


def test_a_started_child_is_spawned_at_once_and_only_once() -> None:
    life = Supervision(POLICY)
    life.start(0)
    assert life.act(0) is Action.SPAWN
    assert life.act(0) is None
    assert life.state is State.STARTING


def test_it_runs_when_it_says_that_it_serves() -> None:
    life = starting(3)
    life.on_ready(4)
    assert (life.state, life.serving_since, life.wake_at()) == (State.RUNNING, 4, None)


def test_starting_one_that_runs_changes_nothing() -> None:
    life = running()
    life.start(1)
    assert (life.state, life.act(1)) == (State.RUNNING, None)


def test_one_that_does_not_serve_in_time_is_killed_and_tried_again() -> None:
    life = starting(0)
    assert life.wake_at() == 30
    assert life.act(29.9) is None
    assert life.act(30) is Action.KILL
    life.on_exit(30.1, "was ended by SIGKILL")
    assert life.state is State.BACKOFF
    assert life.last_error == "did not serve within 30 s"


def test_a_stable_child_that_dies_is_restarted_at_once() -> None:
    life = running(0)
    life.on_exit(1, "was ended by SIGKILL")
    assert life.act(1) is Action.SPAWN
    assert (life.failures, life.spawns, life.last_error) == (0, 2, "was ended by SIGKILL")


def test_one_that_dies_as_soon_as_it_serves_counts_as_failed() -> None:
    life = running(0)
    life.on_exit(0.9, "ended with exit code 1")
    assert life.act(0.9) is None
    assert (life.state, life.failures) == (State.BACKOFF, 1)


def test_delays_double_up_to_the_longest_and_it_is_never_given_up() -> None:
    life = starting(0)
    delays = []
    now = 0.0
    for _ in range(2000):  # the exponent alone would be infinite by then
        life.on_exit(now, "fell over")
        wake_at = life.wake_at()
        assert wake_at is not None
        delays.append(round(wake_at - now, 3))
        now = wake_at
        assert life.act(now) is Action.SPAWN
    assert delays[:6] == [0.1, 0.2, 0.4, 0.8, 1, 1]
    assert set(delays[4:]) == {1}
    life.on_ready(now)  # the disk has space again
    assert (life.state, life.failures, life.last_error) == (State.RUNNING, 2000, "fell over")


def test_serving_for_a_while_forgives_earlier_failures() -> None:
    life = starting(0)
    life.on_exit(0, "fell over")
    assert life.act(0.1) is Action.SPAWN
    life.on_ready(0.2)
    life.on_exit(1.2, "was ended by SIGKILL")
    assert life.act(1.2) is Action.SPAWN
    assert life.failures == 0


def test_a_person_need_not_wait_for_the_back_off() -> None:
    life = starting(0)
    life.on_exit(0, "fell over")
    life.start(0.01)
    assert life.act(0.01) is Action.SPAWN


def test_stopping_asks_first_and_kills_at_the_deadline() -> None:
    life = running(0)
    life.stop(10)
    assert (life.state, life.wake_at()) == (State.STOPPING, 0.0)
    assert life.act(10) is Action.TERMINATE
    assert life.act(10) is None
    assert life.wake_at() == 15
    assert life.act(15) is Action.KILL
    assert life.act(100) is None
    life.on_exit(100, "was ended by SIGKILL")
    assert (life.state, life.last_error) == (State.STOPPED, "")


def test_a_stop_in_a_hurry_kills_now() -> None:
    life = running(0)
    life.stop(10)
    assert life.act(10) is Action.TERMINATE
    life.hurry(11)
    assert life.act(11) is Action.KILL


def test_stopping_twice_asks_once() -> None:
    life = running(0)
    life.stop(10)
    assert life.act(10) is Action.TERMINATE
    life.stop(12)
    assert (life.act(12), life.wake_at()) == (None, 15)


def test_stopping_one_that_waits_needs_no_process() -> None:
    waiting = starting(0)
    waiting.on_exit(0, "fell over")
    waiting.stop(200)
    assert (waiting.state, waiting.act(300), waiting.wake_at()) == (State.STOPPED, None, None)


def test_a_stop_before_the_spawn_leaves_nothing_to_do() -> None:
    life = Supervision(POLICY)
    life.start(0)
    life.stop(0)
    assert (life.state, life.act(0)) == (State.STOPPED, None)


def test_a_restart_starts_again_after_the_end() -> None:
    life = running(0)
    life.restart(10)
    assert life.act(10) is Action.TERMINATE
    life.on_exit(10.5, "ended with exit code 0")
    assert life.act(10.5) is Action.SPAWN
    assert life.state is State.STARTING


def test_a_stop_takes_a_restart_back() -> None:
    life = running(0)
    life.restart(10)
    life.stop(10.1)
    life.act(10.1)
    life.on_exit(10.5, "ended with exit code 0")
    assert (life.state, life.act(11)) == (State.STOPPED, None)


def test_a_start_while_stopping_starts_again() -> None:
    life = running(0)
    life.stop(10)
    life.act(10)
    life.start(10.1)
    life.on_exit(10.5, "ended with exit code 0")
    assert life.act(10.5) is Action.SPAWN


def test_late_news_of_one_being_stopped_is_ignored() -> None:
    life = starting(0)
    life.stop(1)
    life.on_ready(1.1)
    assert life.state is State.STOPPING


def test_one_that_misses_its_health_checks_is_killed_once_and_restarted() -> None:
    life = running(0)
    for _ in range(2):
        life.on_miss()
    assert life.act(10) is None
    life.on_miss()
    assert life.act(10) is Action.KILL
    life.on_miss()
    assert life.act(10) is None
    life.on_exit(10.1, "was ended by SIGKILL")
    assert life.act(10.1) is Action.SPAWN
    assert life.last_error == "did not answer 3 health checks in a row"


def test_an_answer_forgives_the_misses_before_it() -> None:
    life = running(0)
    for _ in range(10):
        life.on_miss()
        life.on_miss()
        life.on_answer()
    assert life.act(10) is None


def test_misses_of_one_process_are_not_held_against_the_next() -> None:
    life = running(0)
    life.on_miss()
    life.on_miss()
    life.on_exit(5, "was ended by SIGSEGV")
    assert life.act(5) is Action.SPAWN
    life.on_ready(6)
    life.on_miss()
    assert life.act(7) is None


def test_misses_while_it_starts_or_stops_do_not_count() -> None:
    life = starting(0)
    for _ in range(5):
        life.on_miss()
    assert life.act(1) is None
    assert life.state is State.STARTING


def test_a_process_that_could_not_be_made_counts_as_failed() -> None:
    life = starting(0)
    life.on_exit(0, "could not be started: Resource temporarily unavailable")
    assert (life.state, life.wake_at()) == (State.BACKOFF, 0.1)


def test_an_endless_error_is_cut() -> None:
    life = starting(0)
    life.on_exit(0, "x" * 10_000)
    assert len(life.last_error) == 300


def test_a_child_that_waits_has_all_its_time_again_and_says_why_until_it_serves() -> None:
    child = starting()
    child.on_waiting(POLICY.ready_within - 1, "nobody answers")
    assert child.waits_for == "waits: nobody answers"
    assert child.act(POLICY.ready_within + 1) is None
    assert child.wake_at() == 2 * POLICY.ready_within - 1
    child.on_ready(POLICY.ready_within + 2)
    assert (child.state, child.waits_for) == (State.RUNNING, "")
    child.on_waiting(POLICY.ready_within + 3, "late news")
    assert child.waits_for == ""
