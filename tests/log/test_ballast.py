"""Facts about the ballast."""

from p2pcli.log.ballast import SLICE_BYTES, SLICES, Ballast


def test_the_room_is_really_taken_and_given_back_in_slices(tmp_path):
    path = tmp_path / "ballast"
    ballast = Ballast(path)
    assert ballast.restore()
    assert path.stat().st_blocks * 512 >= SLICES * SLICE_BYTES
    given = 0
    while ballast.give():
        given += 1
        assert path.stat().st_blocks * 512 <= (SLICES - given) * SLICE_BYTES + 4096
    assert given == SLICES
    assert ballast.restore()
    assert path.stat().st_size == SLICES * SLICE_BYTES


def test_a_missing_ballast_has_nothing_to_give(tmp_path):
    assert not Ballast(tmp_path / "ballast").give()
