# SPDX-License-Identifier: Apache-2.0
"""Cards that come and go while the machine runs, in slots of PCI Express ports that firmware leaves
to the kernel: NVMe disks behind Intel's IOMMU, with a guest using one.

At full size (RAYOS_SOAK=1) fio verifies 512 MiB, else 4.
"""

import os
import re

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.disks import MIB
from rayoslib.guest import Guest
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 512 if FULL else 4
FIO_TIMEOUT = 7200 if FULL else 1800
PLUGS = 20 if FULL else 3
FIO = images.fio(FIO_MIB)


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    files = {name: folder / f"{name}.img" for name in ("first", "second")}
    for path in files.values():
        with open(path, "wb") as image:
            image.truncate((FIO_MIB + 64) * MIB)
    return files


@pytest.fixture(scope="module")
def shell(boot, cards, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("iso"), [], images.conf(),
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    # QEMU's firmware keeps slots to itself unless it is told not to.
    extra = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
             "-device", "intel-iommu,intremap=off"]
    for number in (1, 2):
        extra += ["-device", f"pcie-root-port,id=port{number},bus=pcie.0,chassis={number},"
                  f"slot={number},addr=1{number}.0"]
    extra += ["-blockdev", f"driver=raw,node-name=first,file.driver=file,file.locking=off,"
              f"file.filename={cards['first']}",
              "-device", "nvme,id=first,bus=port1,drive=first,serial=FIRST"]
    return Shell(boot("slots", iso=iso, cpus=SMP, memory=2048, extra=extra)).wait_ready()


def slots(shell):
    return {row["slot"]: row for row in shell.listing("pci slots")}


def disks(shell):
    return {row["serial"]: row["name"] for row in shell.listing("disk list")}


def plug(shell, cards, card, port):
    """QEMU lets go of a pulled card's image late: each turn has a name of its own."""
    machine = shell.machine
    plug.turn = getattr(plug, "turn", 0) + 1
    node = f"node{plug.turn}"
    machine.qmp("blockdev-add", driver="raw", file={
        "driver": "file", "locking": "off", "filename": str(cards[card])}, **{"node-name": node})
    machine.qmp("device_add", driver="nvme", id=card, bus=port, drive=node, serial=card.upper())
    machine.expect(re.compile(r"BLOCK:ATTACHED disk=(nvme\d+n1)"), 60)


def pull(shell, card):
    """By the slot's button, as QEMU does: five seconds later the card is off."""
    shell.machine.qmp("device_del", id=card)
    shell.machine.expect(re.compile(r"BLOCK:DETACHED disk=(nvme\d+n1)"), 60)


def test_slots_are_the_kernels(shell, show):
    shell.boot_over()
    show(shell.ok("pci slots"))
    rows = slots(shell)
    assert rows[1]["state"] == "on" and rows[1]["card"] == "yes"
    assert rows[2]["state"] == "empty" and rows[2]["card"] == "no"
    assert list(disks(shell)) == ["FIRST"]


def test_a_card_is_plugged(shell, cards, show):
    plug(shell, cards, "second", "port2")
    show(shell.ok("pci slots"))
    assert slots(shell)[2]["state"] == "on"
    name = disks(shell)["SECOND"]
    shell.ok("vm start linux", 60)
    with Guest(shell, "linux", booting=True) as guest:
        guest.ready()
    shell.ok(f"vm attach linux disk dev={name},serial=second", 60)
    with Guest(shell, "linux") as guest:
        images.verify_disk(guest, "second", FIO, show, FIO_TIMEOUT)
    assert shell.run(f"disk info {name} --json").json["errors"] == 0
    assert shell.listing("iommu")[0]["refused"] == 0


def test_it_is_pulled_in_use(shell, show):
    """Its guest gets errors, and nobody else."""
    name = disks(shell)["SECOND"]
    first = disks(shell)["FIRST"]
    shell.ok(f"vm attach linux disk dev={first},serial=first", 60)
    with Guest(shell, "linux") as guest:
        guest.ok("until disk first; do sleep 0.2; done", 60)
        guest.ok("mkfs.ext4 -q $(disk first) && mkdir -p /mnt && mount $(disk first) /mnt", 300)
        job = guest.spawn("while dd if=/dev/zero of=$(disk second) bs=64k count=64 oflag=direct; "
                          "do :; done")
        other = guest.spawn(FIO)
    pull(shell, "second")
    with Guest(shell, "linux") as guest:
        assert "error" in guest.join(job, 300).text
        done = guest.join(other, FIO_TIMEOUT)
        assert done.status == 0 and "err= 0" in done.text, done.text
        guest.ok("umount /mnt")
        assert "I/O error" in guest.ok("dmesg -c", 60)
    assert name not in disks(shell).values()
    shell.ok("vm kill linux", 60)
    assert slots(shell)[2]["state"] == "empty"


def test_again_and_again(shell, cards, show):
    """And no memory is lost."""
    for turn in range(PLUGS):
        if turn == 1:
            before = shell.memory()
        plug(shell, cards, "second", "port2")
        name = disks(shell)["SECOND"]
        assert "00 00 00 00" in shell.ok(f"disk dump {name} 0 16")
        pull(shell, "second")
    assert shell.memory() == before
    show(shell.ok("selftest pci", 60))


def test_an_operator_ejects(shell, show):
    port = slots(shell)[1]["port"]
    assert "no slot behind" in shell.run("pci eject 00:00.0 --yes").text
    shell.machine.send_line(f"pci eject {port} --yes")
    shell.machine.expect("BLOCK:DETACHED disk=", 60)
    shell.ok("pci slots")
    assert disks(shell) == {}
    assert slots(shell)[1]["state"] == "empty"  # QEMU's cards leave when they have no power
