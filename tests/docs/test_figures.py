"""The figures that pages name in their sentences are those of the code."""

import pytest

from p2pcli.cluster.supervision import Policy
from p2pcli.config.settings import all_settings
from p2pcli.log import ballast, chain, etcd
from p2pcli.log.sqlite import SqliteLog
from p2pcli.node import attest, desk, reads, requests
from p2pcli.registry import door, lookup, queries, remembered
from p2pcli.registry.process import MemberPlan
from p2pcli.rpc import auth, certificates, frame, handshake, tcp

from .examples import ROOT

MIB, KIB = 1 << 20, 1 << 10

_DEFAULTS = {key: setting.default for key, setting in all_settings().items()}
_POLL_MS = (SqliteLog.__init__.__kwdefaults__ or {})["poll_s"] * 1000
_MEMBER = MemberPlan(name="", folder="", http_port=0, dht_port=0)

FIGURES = {
    "wire.md": (
        f"at most {frame.MAX_FRAME // MIB} MiB, {frame.MAX_FRAME_BEFORE_AUTH // KIB} KiB before the",
        f"must be complete within {tcp.FRAME_S:g} s",
        f"Both nonces have {auth.NONCE_BYTES} bytes",
        f"The whole handshake has {handshake.HANDSHAKE_S:g} s",
        f"`role` is {auth.ROLE_OPERATOR} for a client and {auth.ROLE_PEER} for a peer",
        f"{auth.ROLE_OWNER} for the holder of an owner's key and {auth.ROLE_JOINER} for that of a join token",
        f"carries 1 to {requests.MAX_COMMANDS_IN_FRAME:,} commands in at most"
        f" {requests.MAX_COMMAND_BYTES_IN_FRAME // KIB} KiB",
        f"makes a read wait, up to {reads.AT_LEAST_S:g} s",
    ),
    "security.md": (
        f"when less than {certificates.RENEW_DAYS} of its {certificates.NODE_DAYS} days are left",
    ),
    "guarantees.md": (
        f"of up to {desk.MAX_OWNERS:,} owners",
        f"every {attest.INTERVAL:,} entries its digest",
        f"last {int(_DEFAULTS['market_defaults.remembered_ids']):,} ids",
    ),
    "matching-rules.md": (f"last {int(_DEFAULTS['market_defaults.remembered_ids']):,} ids are remembered",),
    "log.md": (
        f"costs one poll (SQLite {_POLL_MS:g} ms, etcd {etcd.POLL_S * 1000:g})",
        f"chain(0) = {len(chain.GENESIS)} zero bytes",
        f"{ballast.SLICES * ballast.SLICE_BYTES // MIB} MiB that are given up",
        f"in slices of {ballast.SLICE_BYTES // MIB} MiB",
    ),
    "registry.md": (
        f"repeat that every {_DEFAULTS['registry.announce_interval'].removesuffix('s')} s",
        f"waits {lookup.GRACE_S:g} s after the last reply, {lookup.PATIENCE_S:g} s when nobody replies",
        f"sent again once after {queries.REPEAT_S:g} s",
        f"kept for {remembered.KEPT_S / 60:g} minute and while nobody comes or goes",
        f"| {_MEMBER.max_body_bytes // KIB} KiB, also when",
        f"| {_MEMBER.peer_max_age_s * 2 / 3:g} to {_MEMBER.peer_max_age_s * 4 / 3:g} s after the last",
        {2: "twice", 3: "three times"}[door.AMPLIFICATION] + " the bytes it sent",
    ),
    "architecture.md": (
        {5: "misses five answers in a row"}[Policy().misses],
        {"1s": "how it is once a second"}[_DEFAULTS["cluster.health_check_interval"]],
    ),
    "decisions.md": (f"every {attest.INTERVAL:,} entries",),
}


@pytest.mark.parametrize(("page", "figures"), FIGURES.items(), ids=FIGURES)
def test_the_figures_of_a_page_are_those_of_the_code(page: str, figures: tuple[str, ...]) -> None:
    text = " ".join((ROOT / "docs" / page).read_text().split())
    for figure in figures:
        assert figure in text, figure
