# SPDX-License-Identifier: Apache-2.0
"""A volume for a Linux guest on each kind of disk of the host but NVMe, which has its own tests:
virtio-scsi, AHCI and virtio-blk. fio verifies what it wrote, discards, verifies again.

At full size only (RAYOS_SOAK=1), with 512 MiB: the disks have their own tests, as volumes have.
"""

import os

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.disks import store_image
from rayoslib.guest import Guest
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 512
FIO_TIMEOUT = 7200
CONF = images.conf()
FIO = images.fio(FIO_MIB)
DISKS = {"sda": "scsi-hd,bus=scsi.0", "sdb": "ide-hd,bus=ide.0", "vda": "virtio-blk-pci"}


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("iso"), [], CONF,
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    folder = tmp_path_factory.mktemp("disks")
    extra = ["-device", "virtio-scsi-pci,id=scsi"]
    for name, device in DISKS.items():
        disk = store_image(folder / f"{name}.img", 2 * FIO_MIB + 96)
        extra += ["-drive", f"if=none,id={name},format=raw,cache=writeback,discard=unmap,"
                  f"file={disk}", "-device", f"{device},drive={name}"]
    return Shell(boot("volume-disks", iso=iso, cpus=SMP, memory=2048, extra=extra)).wait_ready()


@pytest.mark.skipif(not FULL, reason="full size only (make soak)")
@pytest.mark.parametrize("disk", DISKS)
def test_a_volume(shell, show, disk):
    if disk == next(iter(DISKS)):
        shell.ok("vm start linux", 60)
        with Guest(shell, "linux", booting=True) as guest:
            guest.ready()
    shell.ok(f"volume format {disk}1 --yes", 60)
    shell.ok(f"volume create {disk}1:root 4G")
    shell.ok(f"vm attach linux disk volume={disk}1:root,serial={disk}", 60)
    with Guest(shell, "linux") as guest:
        images.verify_disk(guest, disk, FIO, show, FIO_TIMEOUT)
    assert shell.run(f"volume check {disk}1 --json", 60).json["wrong"] == 0
