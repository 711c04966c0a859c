# SPDX-License-Identifier: Apache-2.0
"""Intel's and AMD's IOMMU as QEMU has them: a device reaches only what is mapped for it, which a
device that can be told to write anywhere ("edu") tries; and disks of every kind work behind it.

At full size (RAYOS_SOAK=1) fio verifies 512 MiB on each disk, else 4 on one.
"""

import os
import re

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.disks import disk_image
from rayoslib.guest import Guest
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 512 if FULL else 4
FIO_TIMEOUT = 7200 if FULL else 1800
PART_MIB = FIO_MIB + 64
KINDS = {"vt-d": "intel-iommu,intremap=off", "amd-vi": "amd-iommu"}
DISKS = {"nvme0n1": "nvme,serial=NV", "sda": "scsi-hd,bus=scsi.0,serial=SC",
         "sdb": "ide-hd,bus=ide.0,serial=AH",
         "vda": "virtio-blk-pci,serial=VB,iommu_platform=on,disable-legacy=on",
         "usba": "usb-storage,bus=xhci.0,serial=US"}


@pytest.fixture(scope="module", params=KINDS)
def shell(request, boot, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    iso = build_image(folder, [], images.conf(), [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    extra = ["-device", KINDS[request.param], "-device", "edu,dma_mask=0xffffffffffffffff",
             "-device", "virtio-scsi-pci,id=scsi,iommu_platform=on,disable-legacy=on",
             "-device", "qemu-xhci,id=xhci"]
    for name, device in DISKS.items():
        disk_image(folder / f"{name}.img", PART_MIB)
        extra += ["-drive", f"if=none,id={name},format=raw,cache=writeback,discard=unmap,"
                  f"file={folder}/{name}.img", "-device", f"{device},drive={name}"]
    shell = Shell(boot(f"iommu-{request.param}", iso=iso, cpus=SMP, memory=2048,
                       extra=extra)).wait_ready()
    shell.kind = request.param
    return shell


def test_it_is_on(shell, show):
    show(shell.ok("iommu"))
    show(shell.ok("iommu --devices"))
    assert f"RAYOS_IOMMU:ON kind={shell.kind} units=1" in shell.machine.text()
    drivers = {row["driver"] for row in shell.listing("iommu --devices")}
    assert drivers >= {"nvme", "ahci", "virtio-scsi", "virtio-blk", "xhci"}
    disks = [row["name"] for row in shell.listing("disk list")]
    assert set(DISKS) <= set(disks)
    assert shell.listing("iommu")[0]["refused"] == 0


def test_a_device_reaches_only_what_is_mapped(shell, show):
    done = shell.ok("selftest iommu", 60)
    show(done)
    assert "no IOMMU" not in done
    # QEMU 7.2 tests a bit of AMD's status register by "or": no event is ever written there.
    silent = "does not say what it refuses" in done
    assert not silent or shell.kind == "amd-vi"
    assert bool(re.search(r"RAYOS_IOMMU:FAULT device=\S+ addr=0x", shell.machine.text())) != silent
    assert (shell.listing("iommu")[0]["refused"] > 0) != silent


@pytest.mark.parametrize("disk", list(DISKS) if FULL else ["nvme0n1", "usba"])
def test_guests_disks_behind_it(shell, show, disk):
    part = f"{disk}p2" if disk.startswith("nvme") else f"{disk}2"
    refused = shell.listing("iommu")[0]["refused"]
    if disk == next(iter(DISKS)):
        shell.ok("vm start linux", 60)
        with Guest(shell, "linux", booting=True) as guest:
            guest.ready()
    shell.ok(f"vm attach linux disk dev={part},serial={part}", 60)
    with Guest(shell, "linux") as guest:
        images.verify_disk(guest, part, images.fio(FIO_MIB), show, FIO_TIMEOUT)
    info = shell.run(f"disk info {part} --json").json
    assert info["write_ops"] > 0 and info["errors"] == 0
    assert shell.listing("iommu")[0]["refused"] == refused
