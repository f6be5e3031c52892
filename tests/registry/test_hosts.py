import pytest

from p2pcli.registry.hosts import FORBIDDEN_HOST, FORBIDDEN_ORIGIN, objection

LISTED = ("grape.example.org",)
NEAR = (
    *("127.0.0.1", "127.0.0.1:30001", "127.0.0.1:", "10.1.2.3:30001", "[::1]:30001", "[::1]"),
    *("[::ffff:127.0.0.1]", "localhost:30001", "LOCALHOST", "localhost.", "a.localhost"),
    *("grape1:30001", "my-machine", "grape.example.org:1", "Grape.Example.org"),
)
FAR = (
    *("evil.example", "evil.example:30001", "127.0.0.1.evil.example", "127.0.0.1@evil.example"),
    *("localhost.evil.example", "[::1].evil.example", "[evil.example]", "127.0.0.1, evil.example"),
    *("", ":30001", "127.0.0.1:x", "127.0.0.1:٣", "a b", "0x7f.1", "127.1", "http://127.0.0.1", "127.0.0.1/"),
)
FAR_ORIGINS = (
    *("null", "", "http://evil.example", "https://evil.example:30001", "http://localhost.evil.example"),
    *("file://", "chrome-extension://abc", "localhost", "http://", "http://127.0.0.1/x"),
)


@pytest.mark.parametrize("host", NEAR)
def test_programs_reach_the_api_by_address_near_name_and_listed_name(host):
    assert objection(host.encode(), None, LISTED) is None


@pytest.mark.parametrize("host", FAR)
def test_names_that_dns_could_point_here_are_refused(host):
    assert objection(host.encode(), None, LISTED) == FORBIDDEN_HOST


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", "http://localhost:3000", "https://[::1]"])
def test_pages_of_this_machine_may_ask(origin):
    assert objection(b"127.0.0.1:30001", origin.encode(), ()) is None


@pytest.mark.parametrize("origin", FAR_ORIGINS)
def test_other_pages_may_not_ask(origin):
    assert objection(b"127.0.0.1:30001", origin.encode(), ()) == FORBIDDEN_ORIGIN
