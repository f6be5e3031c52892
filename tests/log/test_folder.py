"""Facts about making and marking a log's folder."""

import pytest

from p2pcli.log.folder import is_made, make_folder, mark_made


def test_missing_parents_are_made_and_an_existing_folder_is_fine(tmp_path):
    folder = tmp_path / "a" / "b" / "c"
    make_folder(folder, durable=True)
    make_folder(folder, durable=True)
    assert folder.is_dir()


def test_a_relative_folder_is_made_where_the_process_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folder(type(tmp_path)("here"), durable=True)
    assert (tmp_path / "here").is_dir()


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(OSError):
        make_folder(tmp_path / "a", durable=True)
    with pytest.raises(OSError):
        make_folder(tmp_path / "a" / "b", durable=True)


def test_a_folder_is_made_once_it_is_marked(tmp_path):
    assert not is_made(tmp_path)
    mark_made(tmp_path, durable=True)
    mark_made(tmp_path, durable=True)
    assert is_made(tmp_path)
