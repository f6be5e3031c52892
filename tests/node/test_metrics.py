"""What the metrics page says, and that Prometheus' own rules for the text hold."""

import re

from p2pcli.node.metrics import BOUNDS, Histogram, MarketReading, NodeReading, PeerReading, render

LINE = re.compile(r'[a-z0-9_]+(\{([a-z]+="(\\.|[^"\\])*",?)*\})? [0-9.e+-]+')


def page(append: Histogram, peer: str = "client2", market: str = "BTC/USD") -> str:
    btc = MarketReading(market, 12, 5, 3, 9, 1, 4, 2, 11, 6, append, Histogram())
    peers = [PeerReading(peer, False, "open", 5, 1024)]
    return render(NodeReading("default", "client1", "0.1.0", 3.25, 7, 8, [btc], peers))


def sample(text: str, name: str) -> str:
    return next(line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name))


def test_every_line_is_a_comment_or_a_sample_and_every_metric_has_a_type_once():
    lines = page(Histogram()).splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in samples), samples
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    bare = {re.sub(r"(_bucket|_sum|_count)$", "", re.split(r"[{ ]", line)[0]) for line in samples}
    assert bare == set(types)


def test_each_count_stands_under_its_name():
    text = page(Histogram())
    found = {
        name: sample(text, f'p2px_{name}{{market="BTC/USD"}}')
        for name in (
            *("orders_total", "trades_total", "open_orders", "sequence", "log_lag"),
            *("queued_commands", "queued_history", "committed_commands_total", "busy_requests_total"),
        )
    }
    assert list(found.values()) == ["12", "5", "3", "9", "1", "4", "2", "11", "6"]
    assert sample(text, "p2px_limited_requests_total ") == "8"
    assert sample(text, "p2px_connections ") == "7"


def test_a_breaker_is_in_exactly_one_state():
    text = page(Histogram())
    states = re.findall(r'p2px_peer_breaker\{peer="client2",state="([a-z-]+)"\} ([01])', text)
    assert states == [("closed", "0"), ("half-open", "0"), ("open", "1")]
    assert sample(text, 'p2px_peer_failures{peer="client2"}') == "5"


def test_buckets_are_cumulative_and_a_bound_belongs_to_its_own():
    append = Histogram()
    for seconds in (BOUNDS[0], BOUNDS[0], 0.004, BOUNDS[-1] + 1):
        append.observe(seconds)
    counts = [
        (le, int(count))
        for le, count in re.findall(
            r'p2px_append_seconds_bucket\{market="BTC/USD",le="(.+?)"\} (\d+)', page(append)
        )
    ]
    assert counts[0] == (f"{BOUNDS[0]:g}", 2)
    assert dict(counts)["0.0025"] == 2
    assert dict(counts)["0.005"] == 3
    assert counts[-2:] == [(f"{BOUNDS[-1]:g}", 3), ("+Inf", 4)]
    assert [count for _, count in counts] == sorted(count for _, count in counts)
    assert sample(page(append), "p2px_append_seconds_count") == "4"
    assert float(sample(page(append), "p2px_append_seconds_sum")) == round(append.total, 9)


def test_a_label_cannot_end_its_own_quotes():
    text = page(Histogram(), peer='x"} 1\np2px_fake 1')
    assert "\np2px_fake" not in text
    assert all(line.startswith("#") or LINE.fullmatch(line) for line in text.splitlines())
