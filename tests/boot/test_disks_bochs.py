# SPDX-License-Identifier: Apache-2.0
"""An IDE disk of the host under Intel VMX in Bochs: found, its partitions read, and at full size
(RAYOS_SOAK=1) one of them the disk of a Linux guest that verifies with fio what it wrote."""

import os
import re

import pytest

from conftest import build_image
from rayoslib import guest as images
from rayoslib.disks import MIB, disk_image
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 16
PART_MIB = FIO_MIB + 48
STORE_MIB = FIO_MIB + 80
TIMEOUT = 900
CONF = images.conf("linux", 1, "disk = dev=hda2,serial=part")
FIO = images.fio(FIO_MIB, 8)


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return disk_image(tmp_path_factory.mktemp("disks") / "ide.img", PART_MIB, STORE_MIB)


@pytest.fixture(scope="module")
def shell(boot, disk, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("iso"), [], CONF,
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    return Shell(boot("disks-bochs", iso=iso, backend="vmx", memory=1024,
                      disks=[disk])).wait_ready()


def test_an_ide_disk(shell, disk, show):
    show(shell.ok("disk list"))
    disks = {row["name"]: row for row in shell.listing("disk list")}
    assert list(disks) == ["hda", "hda1", "hda2"]
    assert disks["hda"]["driver"] == "ide" and disks["hda"]["size"] == disk.stat().st_size
    assert disks["hda2"]["size"] == PART_MIB * MIB
    parts = shell.listing("disk part hda")
    assert [(p["number"], p["type"], p["name"]) for p in parts] == [
        (1, "rayos", "store a"), (2, "linux", "für Gäste")]
    assert re.search("45 46 49 20 50 41 52 54 +EFI PART", shell.ok("disk dump hda 512 8"))
    info = shell.run("disk info hda --json").json
    show(shell.ok("disk info hda"))
    assert info["errors"] == 0 and info["timeouts"] == 0 and info["read_ops"] > 0


def test_a_store_on_it(shell, show):
    shell.ok("volume format hda1 --yes", TIMEOUT)
    shell.ok("volume create root 48M", TIMEOUT)
    shell.ok("volume snapshot root empty", TIMEOUT)
    show(shell.ok("volume list", TIMEOUT))
    assert shell.run("volume check --json", TIMEOUT).json["wrong"] == 0


@pytest.mark.skipif(not FULL, reason="minutes in Bochs: full size only (make soak)")
def test_a_partition_as_a_guests_disk(shell, show):
    start(shell, "linux", TIMEOUT)
    with Guest(shell, "linux", booting=True) as guest:
        guest.ready(TIMEOUT)
        guest.ok("mkfs.ext4 -q $(disk part) && mkdir -p /mnt && mount $(disk part) /mnt", TIMEOUT)
        said = guest.ok(FIO, TIMEOUT)
        images.fio_show(show, said)
        assert "err= 0" in said
        guest.ok("sync; echo 3 >/proc/sys/vm/drop_caches", TIMEOUT)
        assert "err= 0" in guest.ok(f"{FIO} --verify_only", TIMEOUT)
        guest.ok("umount /mnt && e2fsck -fn $(disk part)", TIMEOUT)
        assert not guest.problems()
    info = shell.run("disk info hda --json").json
    show(shell.ok("disk info hda"))
    assert info["errors"] == 0 and info["timeouts"] == 0 and info["flush_ops"] > 0
    shell.ok("vm kill linux", 60)


@pytest.mark.skipif(not FULL, reason="minutes in Bochs: full size only (make soak)")
def test_a_volume_as_a_guests_disk(shell, show):
    start(shell, "linux", TIMEOUT)
    with Guest(shell, "linux", booting=True) as guest:
        guest.ready(TIMEOUT)
    shell.ok("vm attach linux disk volume=root,serial=root", TIMEOUT)
    with Guest(shell, "linux") as guest:
        guest.ok("until disk root; do sleep 0.2; done", TIMEOUT)
        guest.ok("mkfs.ext4 -q $(disk root) && mkdir -p /root && mount $(disk root) /root", TIMEOUT)
        fio = images.fio(FIO_MIB, 8, "/root")
        said = guest.ok(fio, TIMEOUT)
        images.fio_show(show, said)
        assert "err= 0" in said
        guest.ok("sync; fstrim /root; echo 3 >/proc/sys/vm/drop_caches", TIMEOUT)
        assert "err= 0" in guest.ok(f"{fio} --verify_only", TIMEOUT)
        assert not guest.problems()
    assert shell.run("volume check --json", TIMEOUT).json["wrong"] == 0
