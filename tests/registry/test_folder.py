import json
import stat

import pytest

from p2pcli.registry.folder import FolderUnusable, identity


def test_an_identity_is_kept_and_read_back(tmp_path):
    first = identity(tmp_path / "a" / "member")
    assert len(first.token_secret) >= 16
    assert identity(tmp_path / "a" / "member") == first
    assert identity(tmp_path / "b") != first


def test_only_the_owner_can_read_the_secrets(tmp_path):
    identity(tmp_path / "member")
    assert stat.S_IMODE((tmp_path / "member" / "identity.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "member").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version":1}', '{"version":1,"salt":"zz","token_secret":"00"}', "\x00\xff"]
)
def test_a_damaged_identity_is_replaced_with_a_warning(tmp_path, caplog, text):
    first = identity(tmp_path)
    (tmp_path / "identity.json").write_text(text, encoding="latin-1")
    second = identity(tmp_path)
    assert second != first
    assert identity(tmp_path) == second
    assert "damaged" in caplog.text


def test_an_identity_of_another_version_is_left_alone(tmp_path):
    identity(tmp_path)
    path = tmp_path / "identity.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    with pytest.raises(FolderUnusable, match="version 2"):
        identity(tmp_path)
    assert json.loads(path.read_text())["version"] == 2


def test_a_write_cut_short_leaves_the_identity_as_it_was(tmp_path):
    first = identity(tmp_path)
    (tmp_path / "identity.new").write_text("half of")
    assert identity(tmp_path) == first
    (tmp_path / "identity.json").unlink()
    identity(tmp_path)  # the leftover is in nobody's way


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusable, match="file"):
        identity(tmp_path / "file" / "member")
