# SPDX-License-Identifier: Apache-2.0
"""scripts/mkiso without an emulator: layout, large modules, refusals."""

import struct
import subprocess

import pytest

from conftest import TOP

MKISO = TOP / "scripts/mkiso"
SECTOR = 512
CD_SECTOR = 2048
ESP_GUID = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")


def mkiso(folder, conf, *modules, **kwargs):
    (folder / "rayos.conf").write_text(conf)
    command = [MKISO, "--conf", folder / "rayos.conf", "-o", folder / "x.iso"]
    for module in modules:
        command += ["--module", module]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **kwargs)


def esp_of(iso):
    """(first sector, sectors) of the EFI system partition in the GPT."""
    with open(iso, "rb") as image:
        image.seek(SECTOR)
        header = image.read(92)
        assert header[:8] == b"EFI PART"
        entries, count, size = struct.unpack_from("<QII", header, 72)
        image.seek(entries * SECTOR)
        for _ in range(count):
            entry = image.read(size)
            if entry[:16] == ESP_GUID:
                first, last = struct.unpack_from("<QQ", entry, 32)
                return first, last - first + 1
    raise AssertionError("no EFI system partition")


def fat_listing(iso, folder):
    first, _ = esp_of(iso)
    done = subprocess.run(["mdir", "-b", "-i", f"{iso}@@{first * SECTOR}", f"::{folder}"],
                          stdout=subprocess.PIPE, text=True, check=True)
    return sorted(line.rsplit("/", 1)[-1] for line in done.stdout.split())


def test_layout(tmp_path):
    (tmp_path / "kernel one").write_bytes(b"k" * 100000)
    (tmp_path / "initrd").write_bytes(b"i" * 5)
    done = mkiso(tmp_path, "[boot]\nmodule = linux\nmodule = initrd\n",
                 f"linux={tmp_path}/kernel one", tmp_path / "initrd")
    assert done.returncode == 0, done.stderr
    assert fat_listing(tmp_path / "x.iso", "/rayos") == [
        "initrd", "kernel.elf", "linux", "rayos.conf"]
    assert fat_listing(tmp_path / "x.iso", "/EFI/BOOT") == ["BOOTX64.EFI"]


def test_el_torito_reaches_the_volume(tmp_path):
    done = mkiso(tmp_path, "")
    assert done.returncode == 0, done.stderr
    iso = tmp_path / "x.iso"
    data = iso.read_bytes()
    primary = data[16 * CD_SECTOR:17 * CD_SECTOR]
    assert struct.unpack_from("<I", primary, 80)[0] * CD_SECTOR == len(data)
    catalog = struct.unpack_from("<I", data, 17 * CD_SECTOR + 71)[0] * CD_SECTOR
    count, start = struct.unpack_from("<HI", data, catalog + 32 + 6)
    assert count == 0  # to the end of the medium
    first, sectors = esp_of(iso)
    assert start * CD_SECTOR == first * SECTOR
    assert (first + sectors) * SECTOR <= len(data)


def test_same_input_same_image(tmp_path):
    images = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        assert mkiso(folder, "").returncode == 0
        images.append((folder / "x.iso").read_bytes())
    assert images[0] == images[1]


@pytest.mark.parametrize("conf, modules, says", [
    ("[boot]\nmodule = missing\n", [], "line 2: module 'missing' is not given"),
    ("", ["nowhere/at-all"], "no such file"),
    ("", ["x" * 64 + "=/dev/null"], "no such file"),
    ("", ["kernel.elf={conf}"], "is taken"),
    ("", ["{name}={conf}".replace("{name}", "n" * 64)], "at most 63 characters"),
])
def test_refusals_name_the_cause(tmp_path, conf, modules, says):
    modules = [module.replace("{conf}", str(tmp_path / "rayos.conf")) for module in modules]
    done = mkiso(tmp_path, conf, *modules)
    assert done.returncode == 1
    assert done.stderr.startswith("mkiso: ") and says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x.iso").exists()


def test_image_without_guests_is_small(tmp_path):
    assert mkiso(tmp_path, "").returncode == 0
    assert (tmp_path / "x.iso").stat().st_size <= 8 << 20
