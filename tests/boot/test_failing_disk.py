# SPDX-License-Identifier: Apache-2.0
"""A disk that fails below one VM's volume: that VM has errors, another on another disk finishes fio
with none, and the first store is whole again once its disk is.

At full size (RAYOS_SOAK=1) fio verifies 512 MiB, else 16.
"""

import os
import time

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.disks import store_image
from rayoslib.guest import Guest
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 512 if FULL else 16
FIO_TIMEOUT = 7200 if FULL else 1800
FIO = images.fio(FIO_MIB)
VMS = {"good": "nvme1n1p1", "bad": "nvme0n1p1"}


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    conf = "".join(images.conf(name, 1) for name in VMS)
    iso = build_image(tmp_path_factory.mktemp("iso"), [], conf,
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    folder = tmp_path_factory.mktemp("disks")
    extra = []
    for number in range(2):
        disk = store_image(folder / f"{number}.img", 2 * FIO_MIB + 128)
        extra += ["-drive", f"if=none,id=d{number},format=raw,cache=writeback,file={disk}",
                  "-device", f"nvme,serial=N{number},drive=d{number}"]
    return Shell(boot("failing-disk", iso=iso, cpus=SMP, memory=2048, extra=extra)).wait_ready()


def test_two_guests_on_two_stores(shell):
    for name, part in VMS.items():
        shell.ok(f"volume format {part} --yes", 60)
    assert "several stores" in shell.run("volume create root 1G").text
    for name, part in VMS.items():
        shell.ok(f"volume create {part}:root 1G")
        shell.ok(f"vm start {name}", 60)
        with Guest(shell, name, booting=True) as guest:
            guest.ready()
        shell.ok(f"vm attach {name} disk volume={part}:root,serial=root", 60)
        with Guest(shell, name) as guest:
            guest.ok("until disk root; do sleep 0.2; done", 60)
            guest.ok("mkfs.ext4 -q $(disk root) && mkdir -p /mnt && mount $(disk root) /mnt && "
                     "echo before >/mnt/said && sync", 300)


def test_one_fails_the_other_goes_on(shell, show):
    with Guest(shell, "good") as guest:
        job = guest.spawn(FIO)
    shell.ok("disk fault nvme0n1 error write 0 64M")
    shell.ok("disk fault nvme0n1 error write 64M 64M")
    with Guest(shell, "bad") as guest:
        failed = guest.run("dd if=/dev/zero of=/mnt/zeros bs=1M count=8 oflag=direct; sync", 300)
        guest.run("dd if=/dev/zero of=/mnt/zeros bs=1M count=4 oflag=direct conv=fsync", 300)
        assert "I/O error" in guest.ok("dmesg"), failed.text
    with Guest(shell, "good") as guest:
        done = guest.join(job, FIO_TIMEOUT)
        images.fio_show(show, done.text)
        assert done.status == 0 and "err= 0" in done.text, done.text
        assert "err= 0" in guest.ok(f"{FIO} --verify_only", FIO_TIMEOUT)
        assert not guest.problems()
    # Data that could not be written is that guest's; what the store itself cannot write ends it.
    assert "the store failed" in shell.run("volume create nvme0n1p1:more 1M").text
    show(shell.ok("volume stores"))
    states = {row["disk"]: row["state"] for row in shell.listing("volume stores")}
    assert states == {"nvme0n1p1": "failed", "nvme1n1p1": "live"}
    text = shell.machine.text()
    assert "RAYOS_STORE:FAILED disk=nvme0n1p1" in text
    assert "RAYOS_STORE:FAILED disk=nvme1n1p1" not in text


def test_it_comes_back(shell, show):
    """With its disk mended the store is mounted again, and has what was acknowledged."""
    shell.ok("vm kill bad", 60)
    shell.ok("disk fault nvme0n1 clear")
    deadline = time.monotonic() + 60
    while (left := shell.run("volume unmount nvme0n1p1", 60)).status:
        assert "in use" in left.text and time.monotonic() < deadline, left.text
        time.sleep(0.5)
    shell.ok("volume mount nvme0n1p1", 60)
    show(shell.ok("volume stores"))
    assert shell.run("volume check nvme0n1p1 --json", 60).json["wrong"] == 0
    shell.ok("vm start bad", 60)
    with Guest(shell, "bad", booting=True) as guest:
        guest.ready()
    shell.ok("vm attach bad disk volume=nvme0n1p1:root,serial=root", 60)
    with Guest(shell, "bad") as guest:
        guest.ok("until disk root; do sleep 0.2; done", 60)
        guest.ok("e2fsck -fp $(disk root) || [ $? -le 1 ]", 300)
        guest.ok("mkdir -p /mnt && mount $(disk root) /mnt", 300)
        assert guest.ok("cat /mnt/said") == "before"
