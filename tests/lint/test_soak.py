# SPDX-License-Identifier: Apache-2.0
"""scripts/rayoslib/soak.py: broken off, it goes on where it stopped, and nowhere else."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from rayoslib.soak import Soak  # noqa: E402


@pytest.fixture
def cases(tmp_path):
    """Two cases that leave a trace of every run; the second fails until `fixed` exists."""
    trace = tmp_path / "trace"
    return [("one", ["sh", "-c", f"echo one >>{trace}; echo said"]),
            ("two", ["sh", "-c", f"echo two >>{trace}; test -e {tmp_path}/fixed"])]


def run_all(soak, names=()):
    return {name: soak.run(name)[0] for name in soak.todo(names)}


def traced(tmp_path):
    return (tmp_path / "trace").read_text().split()


def test_goes_on_where_it_stopped(tmp_path, cases):
    folder = tmp_path / "soak"
    assert Soak(folder, "tree", cases).run("one")[0]  # and here it was killed
    soak = Soak(folder, "tree", cases)
    assert list(soak.passed) == ["one"]
    assert run_all(soak) == {"two": False}
    (tmp_path / "fixed").touch()
    soak = Soak(folder, "tree", cases)
    assert run_all(soak) == {"two": True}
    assert Soak(folder, "tree", cases).todo() == []
    assert traced(tmp_path) == ["one", "two", "two"]
    assert (folder / "one.log").read_text() == "said\n"
    results = [line.split()[3:5] for line in (folder / "soak.log").read_text().splitlines()]
    assert results == [["passed", "one"], ["FAILED", "two"], ["passed", "two"]]


def test_another_tree_begins_anew(tmp_path, cases):
    folder = tmp_path / "soak"
    Soak(folder, "tree", cases).run("one")
    assert Soak(folder, "other", cases).todo() == ["one", "two"]
    assert Soak(folder, "tree", cases).todo() == ["two"]  # looking at it changed nothing


def test_fresh_forgets(tmp_path, cases):
    folder = tmp_path / "soak"
    Soak(folder, "tree", cases).run("one")
    Soak(folder, "tree", cases, fresh=True)
    assert Soak(folder, "tree", cases).todo() == ["one", "two"]
    assert (folder / "soak.log").exists()


def test_named_cases_run_again_and_may_lose_their_pass(tmp_path, cases):
    folder = tmp_path / "soak"
    (tmp_path / "fixed").touch()
    soak = Soak(folder, "tree", cases)
    assert run_all(soak) == {"one": True, "two": True}
    (tmp_path / "fixed").unlink()
    assert run_all(soak, ["two"]) == {"two": False}
    assert Soak(folder, "tree", cases).todo() == ["two"]
