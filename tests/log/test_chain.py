"""Facts about the hash chain."""

from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from p2pcli.log.chain import GENESIS, link
from p2pcli.log.entry import MAX_NUMBER, Batch

batches = st.builds(
    Batch,
    producer=st.text("ab1é", min_size=1, max_size=4),
    epoch=st.integers(0, 3) | st.just(MAX_NUMBER),
    number=st.integers(1, 3) | st.just(MAX_NUMBER),
    body=st.binary(max_size=4),
)


def test_the_chain_is_the_documented_hash():
    header = GENESIS + (7).to_bytes(8, "big") + (9).to_bytes(8, "big") + b"\x00\x02" + b"c1"
    expected = blake2b(header + b"body", digest_size=32, person=b"p2px log chain 1").digest()
    assert link(GENESIS, Batch("c1", 7, 9, b"body")) == expected
    # Written down: logs on disk carry these hashes, so a change of the code must show.
    assert expected.hex() == "0abe7c23a37940da232edbe59ccddf5c0307022acfbfa08d06cff2759855e083"


@given(batches, batches)
def test_different_batches_have_different_hashes(one, other):
    assert (link(GENESIS, one) == link(GENESIS, other)) == (one == other)


@given(batches)
def test_the_hash_depends_on_everything_before(batch):
    first = link(GENESIS, batch)
    assert link(first, batch) != first
