"""What is shown at etcd's door is looked at before etcd is asked: every mistake has a sentence of its own."""

from pathlib import Path

import pytest

from p2pcli.log.etcd_access import BadAccessFile, read_access
from p2pcli.log.etcd_place import EtcdAccess
from p2pcli.rpc.certificates import new_authority

NOW = 1_800_000_000


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A pair that belongs together, another one's key, a password and a file of nonsense."""
    one, other = new_authority("one", NOW), new_authority("other", NOW)
    texts = {"cert": one.certificate, "key": one.key, "other": other.key, "password": "pw\n", "nonsense": "x"}
    paths = {}
    for name, text in texts.items():
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        paths[name] = str(path)
    return paths


def test_good_files_are_read(files):
    found = read_access(EtcdAccess(files["cert"], files["cert"], files["key"], "root", files["password"]))
    assert (found.password, found.cert) == ("pw", Path(files["cert"]).read_bytes())
    assert repr(found) == "AccessFiles(...)"
    assert read_access(EtcdAccess()).ca is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ca": "nonsense"}, "cannot use .*nonsense"),
        ({"ca": "missing"}, "cannot read missing: No such file or directory"),
        ({"cert": "cert", "key": "other"}, "cannot use .*cert with .*other: key values mismatch"),
        ({"cert": "cert", "key": "nonsense"}, "cannot use .*cert with .*nonsense"),
        ({"cert": "cert"}, "log.cert is set and log.key is not"),
        ({"key": "key"}, "log.key is set and log.cert is not"),
        ({"password_file": "missing"}, "cannot read etcd's password from missing: No such file"),
    ],
)
def test_a_file_that_is_of_no_use_is_named(files, given, said):
    with pytest.raises(BadAccessFile, match=said) as refused:
        read_access(EtcdAccess(**{field: files.get(name, name) for field, name in given.items()}))
    assert refused.value.hint


def test_a_password_that_others_can_read_is_refused(files):
    Path(files["password"]).chmod(0o640)
    with pytest.raises(BadAccessFile, match="can be read by others") as refused:
        read_access(EtcdAccess(user="root", password_file=files["password"]))
    assert refused.value.hint == f"chmod 600 {files['password']}"
