"""``p2px config``: values with their origins."""


def test_each_value_is_shown_with_its_origin(nowhere):
    (nowhere.cwd / "p2px.yaml").write_text("cluster:\n  nodes: 5\n")
    rows = nowhere("config", "show", "-o", "json", P2PX_CLIENT_TIMEOUT="7s").json
    found = {row["setting"]: (row["value"], row["origin"]) for row in rows}
    assert found["cluster.nodes"] == ("5", f"{nowhere.cwd}/p2px.yaml line 2")
    assert found["client.timeout"] == ("7s", "environment P2PX_CLIENT_TIMEOUT")
    assert found["log.url"][1] == "default"
    assert found["client.output"] == ("json", "flag")


def test_only_what_was_changed(nowhere):
    (nowhere.cwd / "p2px.yaml").write_text("cluster:\n  nodes: 5\n")
    lines = nowhere("config", "show", "cluster", "--changed").out.splitlines()
    assert [line.split()[:2] for line in lines] == [["SETTING", "VALUE"], ["cluster.nodes", "5"]]


def test_a_prefix_that_nothing_has_is_said(nowhere):
    said = nowhere("config", "show", "nonsense")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: no setting begins with 'nonsense'\nhint: ")


def test_path_prints_the_files_that_were_read(nowhere):
    said = nowhere("config", "path")
    assert said.out == ""
    assert f"state is kept in {nowhere.home}" in said.err
    (nowhere.cwd / "p2px.yaml").write_text("cluster:\n  nodes: 5\n")
    assert nowhere("config", "path").out == f"{nowhere.cwd}/p2px.yaml\n"
    assert nowhere("config", "path", "-o", "json").json["files"] == [f"{nowhere.cwd}/p2px.yaml"]
