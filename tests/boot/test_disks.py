# SPDX-License-Identifier: Apache-2.0
"""The host's own disks: found, their partition tables read as sgdisk wrote them, and a partition
as the disk of a stock Linux guest, which verifies with fio what it wrote. The image is what
guests wrote when the machine has ended.

At full size (RAYOS_SOAK=1) fio verifies 512 MiB, else 16.
"""

import os
import re
import subprocess
import time

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 512 if FULL else 16
FIO_TIMEOUT = 7200 if FULL else 1800
PART_MIB = FIO_MIB + 64
MIB = 1 << 20
STORE_TYPE = "7a0b6e52-3c3d-4f58-9c1e-5d2f8a4e91c7"
CONF = """
[vm linux]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=ttyS0 quiet
memory = 256M
vcpus = 2
disk = module=tools.img,ro,serial=tools
"""
FIO = ("fio --eta=never --name=v --directory=/mnt --size={}M --rw=randwrite --bs=16k --direct=1 "
       "--verify=crc32c --ioengine=io_uring --iodepth=16").format(FIO_MIB)


def disk_image(path):
    """A disk with a small partition of a store and a large one for a guest."""
    with open(path, "wb") as image:
        image.truncate((PART_MIB + 34) * MIB)
    subprocess.run(["/usr/sbin/sgdisk", "-n", "1:1M:+16M", "-t", f"1:{STORE_TYPE}", "-c",
                    "1:store a", "-n", f"2:32M:+{PART_MIB}M", "-t", "2:8300", "-c",
                    "2:für Gäste", path], check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def nvme(tmp_path_factory):
    return disk_image(tmp_path_factory.mktemp("disks") / "nvme.img")


@pytest.fixture(scope="module")
def shell(boot, nvme, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("iso"), [], CONF,
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    extra = ["-drive", f"if=none,id=n0,format=raw,cache=writeback,file={nvme}",
             "-device", "nvme,drive=n0,serial=NV-1"]
    shell = Shell(boot("disks", iso=iso, cpus=SMP, memory=2048, extra=extra)).wait_ready()
    return shell


def test_disks_and_their_partitions(shell, show):
    show(shell.ok("disk list"))
    disks = {row["name"]: row for row in shell.listing("disk list")}
    assert list(disks) == ["nvme0n1", "nvme0n1p1", "nvme0n1p2"]
    assert disks["nvme0n1"]["model"] == "QEMU NVMe Ctrl" and disks["nvme0n1"]["serial"] == "NV-1"
    assert disks["nvme0n1"]["size"] == (PART_MIB + 34) * MIB
    assert disks["nvme0n1p2"]["size"] == PART_MIB * MIB
    parts = shell.listing("disk part nvme0n1")
    assert [(p["number"], p["type"], p["name"]) for p in parts] == [
        (1, "rayos", "store a"), (2, "linux", "für Gäste")]
    assert re.search("45 46 49 20 50 41 52 54 +EFI PART", shell.ok("disk dump nvme0n1 512 8"))
    assert shell.run("disk info nvme9").text == "error: no disk is named 'nvme9'; see `disk list`"
    for example in ("disk info nvme0n1", "disk part nvme0n1", "disk dump nvme0n1 0 64",
                    "disk smart nvme0n1"):
        show(shell.ok(example))
    health = shell.run("disk smart nvme0n1 --json").json
    assert health["failing"] is False and 0 < int(health["celsius"]) < 100
    info = shell.run("disk info nvme0n1 --json").json
    assert info["errors"] == 0 and info["read_ops"] > 0 and info["in_flight"] == 0


def test_a_partition_as_a_guests_disk(shell, show):
    shell.ok("vm start linux", 60)
    with Guest(shell, "linux", booting=True) as guest:
        guest.ready()
    assert shell.run("vm attach linux disk dev=nvme0n1p9").status
    shell.ok("vm attach linux disk dev=nvme0n1p2,serial=part", 60)
    assert "in use" in shell.run("vm attach linux disk dev=nvme0n1").text
    with Guest(shell, "linux") as guest:
        guest.ok("until disk part; do sleep 0.2; done", 60)
        guest.ok("mkfs.ext4 -q $(disk part) && mkdir -p /mnt && mount $(disk part) /mnt", 300)
        said = guest.ok(FIO, FIO_TIMEOUT)
        show("\n".join(line for line in said.splitlines() if re.search(r"err=|IOPS", line)))
        assert "err= 0" in said
        guest.ok("sync; fstrim -v /mnt; echo 3 >/proc/sys/vm/drop_caches", 300)
        assert "err= 0" in guest.ok(f"{FIO} --verify_only", FIO_TIMEOUT)
        guest.ok("umount /mnt && e2fsck -fn $(disk part)", 300)
        assert not guest.problems()
    show(shell.ok("disk info nvme0n1p2"))


def test_rebuilt_in_the_middle(shell):
    with Guest(shell, "linux") as guest:
        guest.ok("mount $(disk part) /mnt")
        job = guest.spawn(FIO)
    shell.ok("vm rebuild linux", 60)
    with Guest(shell, "linux") as guest:
        done = guest.join(job, FIO_TIMEOUT)
        assert done.status == 0 and "err= 0" in done.text, done.text
        guest.ok("umount /mnt && e2fsck -fn $(disk part)", 300)
        assert not guest.problems()


def test_it_is_free_again(shell, nvme):
    info = shell.run("disk info nvme0n1 --json").json
    assert info["errors"] == 0 and info["timeouts"] == 0
    shell.ok("vm kill linux", 60)
    deadline = time.monotonic() + 60
    while shell.listing("disk list")[2]["used_by"] != "-":
        assert time.monotonic() < deadline, "still in use"
        time.sleep(0.5)
    shell.machine.stop()
    with open(nvme, "rb") as image:
        image.seek(32 * MIB)
        assert image.read(2048)[1080:1082] == b"\x53\xef"  # ext4's magic
