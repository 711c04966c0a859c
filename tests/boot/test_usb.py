# SPDX-License-Identifier: Apache-2.0
"""USB below: a stick on the controller's own port and one behind a hub, keyboards, plugging and
unplugging while a guest uses the disk, and a stick that answers with errors.

At full size (RAYOS_SOAK=1) fio verifies 512 MiB, else 16.
"""

import os
import re

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.disks import MIB, disk_image
from rayoslib.guest import Guest
from rayoslib.shell import PROMPT, Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 512 if FULL else 16
FIO_TIMEOUT = 7200 if FULL else 1800
PART_MIB = FIO_MIB + 64
FIO = images.fio(FIO_MIB)
PLUGS = 20 if FULL else 3
KEYS = {" ": "spc", "-": "minus", "/": "slash", "|": "shift-backslash", "\n": "ret", "=": "equal"}


@pytest.fixture(scope="module")
def disk_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sticks")
    files = {name: disk_image(folder / f"{name}.img", PART_MIB) for name in ("one", "two")}
    files["late"] = folder / "late.img"
    files["late"].write_bytes(b"\xa5" * (4 * MIB))
    files["bad"] = folder / "bad.img"
    files["bad"].write_bytes(b"\x5a" * (4 * MIB))
    return files


@pytest.fixture(scope="module")
def shell(boot, disk_files, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("iso"), [], images.conf(),
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    extra = ["-device", "qemu-xhci,id=xhci"]
    for name in ("one", "two"):
        extra += ["-blockdev", f"driver=raw,node-name={name},file.driver=file,"
                  f"file.filename={disk_files[name]}"]
    extra += ["-device", "usb-storage,bus=xhci.0,port=1,drive=one,serial=US-1",
              "-device", "usb-hub,bus=xhci.0,port=2,id=hub",
              "-device", "usb-storage,bus=xhci.0,port=2.3,drive=two,serial=US-2",
              "-device", "usb-kbd,bus=xhci.0,port=2.1,id=keyboard",
              "-blockdev", f"driver=blkdebug,node-name=bad,image.driver=file,"
              f"image.filename={disk_files['bad']},inject-error.0.event=none,"
              f"inject-error.0.iotype=read,inject-error.0.errno=5,inject-error.0.sector=4096",
              "-device", "usb-storage,bus=xhci.0,port=3,drive=bad,serial=US-3"]
    return Shell(boot("usb", iso=iso, cpus=SMP, memory=2048, extra=extra)).wait_ready()


def disks(shell):
    return {row["name"]: row for row in shell.listing("disk list")}


def test_what_hangs_on_the_bus(shell, show):
    show(shell.ok("usb"))
    rows = {row["place"]: row for row in shell.listing("usb")}
    assert sorted(row["driver"] for row in rows.values()) == [
        "usb-hub", "usb-keyboard", "usb-storage", "usb-storage", "usb-storage"]
    behind = [row for place, row in rows.items() if "." in place]
    assert {row["speed"] for row in behind} == {"full"} and len(behind) == 2


def test_sticks_are_disks(shell, show):
    show(shell.ok("disk list"))
    serials = {row["serial"]: row for row in disks(shell).values()}
    for serial in ("US-1", "US-2"):
        row = serials[serial]
        assert row["driver"] == "usb-storage" and row["size"] == (PART_MIB + 34) * MIB
        parts = shell.listing(f"disk part {row['name']}")
        assert [(p["number"], p["type"]) for p in parts] == [(1, "rayos"), (2, "linux")]


def test_a_sector_that_cannot_be_read(shell, show):
    name = name_of(shell, "US-3")
    bad = shell.run(f"disk dump {name} {4096 * 512} 16")
    show(bad.text)
    assert bad.status and "input/output error" in bad.text.lower()
    for sector in (0, 4095, 4097):
        assert "5a 5a 5a 5a" in shell.ok(f"disk dump {name} {sector * 512} 16")


def name_of(shell, serial):
    return next(row["name"] for row in disks(shell).values() if row["serial"] == serial)


def type_keys(machine, text):
    for c in text:
        key = KEYS.get(c, c if not c.isupper() else f"shift-{c.lower()}")
        machine.monitor(f"sendkey {key} 40")


def test_a_keyboard_types(shell, show):
    """What is typed on the USB keyboard, and when that is unplugged, on the PC's own."""
    machine = shell.machine
    for who in ("usb", "ps2"):
        type_keys(machine, f"help {who}x\n")
        found = machine.expect(re.compile(rf"'{who}x'[\s\S]*?" + PROMPT.pattern), 60)
        show(found.group())
        if who == "usb":
            machine.qmp("device_del", id="keyboard")
            machine.qmp("query-status")
    assert "usb-keyboard" not in shell.ok("usb")


def test_plugged_and_unplugged(shell, disk_files):
    machine = shell.machine
    for turn in range(PLUGS):
        if turn == 1:
            before = shell.memory()
        # QEMU lets go of an unplugged stick's image late: each has its own.
        machine.qmp("blockdev-add", driver="raw", file={
            "driver": "file", "locking": "off", "filename": str(disk_files["late"])},
            **{"node-name": f"late{turn}"})
        machine.qmp("device_add", driver="usb-storage", id=f"late{turn}", bus="xhci.0", port="4",
                    drive=f"late{turn}", serial="US-4")
        machine.expect(re.compile(r"RAYOS_BLOCK:ATTACHED disk=(\w+) .*bytes=4194304"), 60)
        name = name_of(shell, "US-4")
        assert "a5 a5 a5 a5" in shell.ok(f"disk dump {name} 4092K 16")
        machine.qmp("device_del", id=f"late{turn}")
        machine.expect(re.compile(rf"RAYOS_BLOCK:DETACHED disk={name}\b"), 60)
        machine.expect(PROMPT, 20)
        assert name not in disks(shell)
    assert shell.memory() == before


@pytest.mark.skipif(not FULL, reason="90 s until a deadline passes")
def test_a_stick_that_hangs(shell, show):
    name = name_of(shell, "US-3")
    shell.ok(f"disk fault {name} silent read 64K 4K 1")
    assert "5a 5a" in shell.ok(f"disk dump {name} 64K 16", 240)
    info = shell.run(f"disk info {name} --json").json
    show(shell.ok(f"disk info {name}"))
    assert info["timeouts"] == 1 and info["repeats"] == 1 and info["state"] == "live"


@pytest.mark.parametrize("serial", ["US-1", "US-2"] if FULL else ["US-1"])
def test_a_partition_as_a_guests_disk(shell, show, serial):
    part = name_of(shell, serial) + "2"
    if serial == "US-1":
        shell.ok("vm start linux", 60)
        with Guest(shell, "linux", booting=True) as guest:
            guest.ready()
    shell.ok(f"vm attach linux disk dev={part},serial={part}", 60)
    with Guest(shell, "linux") as guest:
        images.verify_disk(guest, part, FIO, show, FIO_TIMEOUT)
    info = shell.run(f"disk info {part} --json").json
    show(shell.ok(f"disk info {part}"))
    assert info["write_ops"] > 0 and info["flush_ops"] > 0 and info["errors"] == 0


def test_pulled_in_the_middle(shell, show):
    """A guest's disk goes away under its work: that guest has errors, and nobody else."""
    part, other = (name_of(shell, serial) + "2" for serial in ("US-2", "US-1"))
    if not FULL:
        shell.ok(f"vm attach linux disk dev={part},serial={part}", 60)
    with Guest(shell, "linux") as guest:
        job = guest.spawn(f"dd if=/dev/zero of=$(disk {part}) bs=64k count=1000 oflag=direct")
    shell.machine.qmp("device_del", id="hub")
    shell.machine.expect(re.compile(rf"RAYOS_BLOCK:DETACHED disk={part[:-1]}\b"), 60)
    shell.machine.expect(PROMPT, 20)
    with Guest(shell, "linux") as guest:
        done = guest.join(job, 120)
        show(done.text)
        assert done.status and "error" in done.text.lower()
        guest.ok(f"dd if=$(disk {other}) of=/dev/null bs=64k count=16")
    show(shell.ok("disk list"))
    assert {row["driver"] for row in shell.listing("usb")} == {"usb-storage"}
    shell.ok("vm kill linux", 60)
    for _ in range(60):
        if part not in disks(shell):
            break
        shell.run("vm list")
    assert part not in disks(shell)
