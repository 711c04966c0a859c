# SPDX-License-Identifier: Apache-2.0
"""scripts/kmods: each module comes after what it needs, and what is not there is named."""

import pathlib
import subprocess

import pytest

KMODS = pathlib.Path(__file__).resolve().parents[2] / "scripts/kmods"


@pytest.fixture
def package(tmp_path):
    """A kernel package: net needs bus and lib, bus needs ring; tty is built in."""
    tree = tmp_path / "package/lib/modules/6.1"
    (tree / "kernel").mkdir(parents=True)
    (tree / "modules.builtin").write_text("kernel/drivers/tty.ko\n")
    for name, needed in (("my-net", "bus,lib"), ("bus", "ring"), ("ring", ""), ("lib", "tty"),
                         ("egg", "hen"), ("hen", "egg"), ("lone", "gone")):
        data = b"\x7fELF\0license=GPL\0depends=" + needed.encode() + b"\0name=x\0"
        (tree / "kernel" / f"{name}.ko").write_bytes(data)
    return tmp_path / "package"


def kmods(package, output, *names):
    done = subprocess.run([KMODS, "--root", package, "-o", output, *names], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode()


def test_order(package, tmp_path):
    out = tmp_path / "out"
    assert kmods(package, out, "my_net", "tty", "ring") == (0, "")
    assert (out / "order").read_text().split() == ["ring.ko", "bus.ko", "lib.ko", "my-net.ko"]
    assert sorted(path.name for path in out.iterdir()) == ["bus.ko", "lib.ko", "my-net.ko",
                                                           "order", "ring.ko"]


@pytest.mark.parametrize("name, said", [
    ("egg", "modules in a circle: egg -> hen -> egg"),
    ("lone", "no module gone for lone"),
    ("nothing", "no module nothing"),
])
def test_refused(package, tmp_path, name, said):
    status, text = kmods(package, tmp_path / "out", name)
    assert status == 1 and said in text
    assert not (tmp_path / "out").exists()


def test_no_kernel(tmp_path):
    status, text = kmods(tmp_path, tmp_path / "out", "bus")
    assert status == 1 and "no kernel's modules" in text
