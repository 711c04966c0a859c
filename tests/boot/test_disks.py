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
from rayoslib.disks import KIB, MIB, disk_image
from rayoslib.guest import Guest
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 512 if FULL else 16
FIO_TIMEOUT = 7200 if FULL else 1800
PART_MIB = FIO_MIB + 64
CONF = images.conf()
FIO = images.fio(FIO_MIB)


# Names of disks and of their second partition: what each of them is below.
DISKS = {"nvme0n1": "nvme0n1p2", "sda": "sda2", "sdb": "sdb2", "vda": "vda2"}
BAD = "sdc"
BAD_SECTOR = 4096


@pytest.fixture(scope="module")
def disk_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disks")
    files = {name: disk_image(folder / f"{name}.img", PART_MIB) for name in DISKS}
    files[BAD] = folder / "bad.img"
    files[BAD].write_bytes(b"\x5a" * (4 * MIB))
    files[SPARE] = folder / "spare.img"
    with open(files[SPARE], "wb") as image:
        image.truncate(SPARE_MIB * MIB)
    return files


SPARE = "vdb"
SPARE_MIB = 96


@pytest.fixture(scope="module")
def shell(boot, disk_files, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("iso"), [], CONF,
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    extra = []
    # The SCSI host stands before the AHCI controller on the bus, its disks before the other's.
    extra += ["-device", "virtio-scsi-pci,id=scsi"]
    for name, device in (("nvme0n1", "nvme,serial=NV-1"), ("sda", "scsi-hd,bus=scsi.0,serial=SC-1"),
                         ("sdb", "ide-hd,bus=ide.0,serial=AH-1"),
                         ("vda", "virtio-blk-pci,serial=VB-1")):
        extra += ["-drive", f"if=none,id={name},format=raw,cache=writeback,discard=unmap,"
                  f"file={disk_files[name]}", "-device", f"{device},drive={name}"]
    extra += ["-drive", f"if=none,id={SPARE},format=raw,cache=writeback,file={disk_files[SPARE]}",
              "-device", f"virtio-blk-pci,serial=VB-2,drive={SPARE}"]
    extra += ["-blockdev", f"driver=blkdebug,node-name=bad,image.driver=file,"
              f"image.filename={disk_files[BAD]},inject-error.0.event=none,inject-error.0.iotype=read,"
              f"inject-error.0.errno=5,inject-error.0.sector={BAD_SECTOR}",
              "-device", "ide-hd,bus=ide.1,drive=bad,serial=AH-2"]
    return Shell(boot("disks", iso=iso, cpus=SMP, memory=2048, extra=extra)).wait_ready()


def test_disks_and_their_partitions(shell, show):
    show(shell.ok("disk list"))
    disks = {row["name"]: row for row in shell.listing("disk list")}
    assert list(disks) == ["nvme0n1", "nvme0n1p1", "nvme0n1p2", "sda", "sda1", "sda2", "sdb",
                           "sdb1", "sdb2", "sdc", "vda", "vda1", "vda2", "vdb"]
    assert disks["nvme0n1"]["model"] == "QEMU NVMe Ctrl" and disks["nvme0n1"]["serial"] == "NV-1"
    assert disks["sda"]["model"] == "QEMU QEMU HARDDISK" and disks["sda"]["serial"] == "SC-1"
    assert disks["sdb"]["model"] == "QEMU HARDDISK" and disks["sdb"]["serial"] == "AH-1"
    assert disks["sda"]["driver"] == "virtio-scsi" and disks["sdb"]["driver"] == "ahci"
    assert disks["vda"]["driver"] == "virtio-blk" and disks["vda"]["serial"] == "VB-1"
    assert shell.run("disk info nvme9").text == "error: no disk is named 'nvme9'; see `disk list`"


@pytest.mark.parametrize("disk", DISKS)
def test_one_disk(shell, show, disk):
    disks = {row["name"]: row for row in shell.listing("disk list")}
    assert disks[disk]["size"] == (PART_MIB + 34) * MIB
    assert disks[DISKS[disk]]["size"] == PART_MIB * MIB
    parts = shell.listing(f"disk part {disk}")
    assert [(p["number"], p["type"], p["name"]) for p in parts] == [
        (1, "rayos", "store a"), (2, "linux", "für Gäste")]
    assert re.search("45 46 49 20 50 41 52 54 +EFI PART", shell.ok(f"disk dump {disk} 512 8"))
    for example in ("info {}", "part {}", "dump {} 0 64"):
        show(shell.ok("disk " + example.format(disk)))
    health = shell.run(f"disk smart {disk}")
    if disk in ("vda", "sda"):
        assert health.status and "says nothing" in health.text
    else:
        show(health.text)
        assert shell.run(f"disk smart {disk} --json").json["failing"] is False
    info = shell.run(f"disk info {disk} --json").json
    assert info["errors"] == 0 and info["read_ops"] > 0 and info["in_flight"] == 0


def controller_of(shell, disk):
    """The path of the PCI function that a disk hangs on."""
    rows = shell.listing("device tree")
    return next(row["device"].rsplit("/", 1)[0] for row in rows
                if row["device"].endswith("/" + disk))


def test_the_tree_of_devices(shell, show):
    show(shell.ok("device tree"))
    show(shell.ok("dev drivers"))
    nvme = controller_of(shell, "nvme0n1")
    assert re.fullmatch(r"/sys/devices/pci0/[0-9a-f:.]+", nvme)
    assert shell.ok(f"dev cat {nvme}/driver") == "nvme"
    assert shell.ok("dev cat /dev/block/nvme0n1p2/size") == str(PART_MIB * MIB)
    assert shell.run("dev cat /dev/block/sda --json").json["serial"] == "SC-1"
    names = {row["name"] for row in shell.listing("dev ls /dev/block")}
    assert {f"{disk}/" for disk in (*DISKS, *DISKS.values())} <= names
    drivers = {row["driver"]: row["devices"] for row in shell.listing("dev drivers")}
    assert drivers["nvme"] > 0 and drivers["ps2"] == 1 and drivers["ide"] == 0
    for command, said in (("dev ls /dev/blocks", "nothing is at '/dev/blocks'"),
                          ("dev cat /dev/block", "'/dev/block' is a folder"),
                          ("dev ls /dev/block/sda/size", "is a value"),
                          ("dev suspend /dev/block/sda", "is no controller"),
                          (f"dev resume {nvme}", "is active and has a driver")):
        failed = shell.run(command)
        assert failed.status and said in failed.text, failed.text


def test_a_sector_that_cannot_be_read(shell, show):
    bad = shell.run(f"disk dump {BAD} {BAD_SECTOR * 512} 16")
    show(bad.text)
    assert bad.status and "input/output error" in bad.text.lower()
    for sector in (0, BAD_SECTOR - 1, BAD_SECTOR + 1):
        assert "5a 5a 5a 5a" in shell.ok(f"disk dump {BAD} {sector * 512} 16")
    info = shell.run(f"disk info {BAD} --json").json
    assert info["errors"] == 1 and info["state"] == "live"


def test_faults_on_demand(shell, show):
    """What a command of the shell sees of a fault; the disk itself has none."""
    shell.ok(f"disk fault {BAD} error read 64K 4K 1")
    assert "5a 5a" in shell.ok(f"disk dump {BAD} 68K 16")
    failed = shell.run(f"disk dump {BAD} 64K 16")
    assert failed.status and "input/output error" in failed.text.lower()
    assert "5a 5a" in shell.ok(f"disk dump {BAD} 64K 16")
    assert not shell.listing(f"disk fault {BAD}")
    shell.ok("disk fault nvme0n1p2 error write 4K 4K")
    show(shell.ok("disk fault nvme0n1"))
    faults = shell.listing("disk fault nvme0n1")
    assert [(f["kind"], f["operation"], f["offset"], f["left"]) for f in faults] == [
        ("error", "write", 32 * MIB + 4 * KIB, "always")]
    shell.ok("disk fault nvme0n1 clear")
    assert not shell.listing("disk fault nvme0n1")
    assert "is no operation" in shell.run("disk fault sda error sing 0 512").text
    assert "ends at" in shell.run("disk fault sda error read 0 1T").text


@pytest.mark.skipif(not FULL, reason="30 s, and every other test's time after a reset")
def test_a_disk_that_hangs(shell, show):
    """No answer comes to one command: the controller is reset and the command repeated."""
    before = shell.run(f"disk info {BAD} --json").json
    shell.ok(f"disk fault {BAD} silent read 64K 4K 1")
    assert "5a 5a" in shell.ok(f"disk dump {BAD} 64K 16", 120)
    info = shell.run(f"disk info {BAD} --json").json
    show(shell.ok(f"disk info {BAD}"))
    assert info["timeouts"] > before["timeouts"] and info["repeats"] == before["repeats"] + 1
    assert info["errors"] == before["errors"] and info["state"] == "live"


def test_a_damaged_table_is_repaired(shell, disk_files, show):
    """The second copy of a disk's table is spoilt in the file below it."""
    with open(disk_files["vda"], "r+b") as image:
        image.seek(-512, os.SEEK_END)
        image.write(b"\0" * 512)
    damaged = shell.ok("disk part vda")
    show(damaged)
    assert "backup header" in damaged and "no signature" in damaged
    assert shell.run("disk repair vda1").text == "error: 'vda1' is a partition; name its disk"
    said = shell.ok("disk repair vda")
    show(said)
    assert "the backup table was written anew from the primary" in said
    assert "nothing is damaged" in shell.ok("disk repair vda")
    verify = subprocess.run(["/usr/sbin/sgdisk", "-v", disk_files["vda"]], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    show(verify)
    assert "No problems found" in verify


def test_a_table_is_made_and_changed(shell, disk_files, show):
    """From an empty disk to one with a store; sgdisk reads what was written, and RayOS it again."""
    assert "has no partition table" in shell.run(f"disk add {SPARE} 8M").text
    shell.ok(f"disk label {SPARE} --yes")
    assert shell.ok(f"disk add {SPARE} 20M --type=linux --name=für") == "partition 1: 20 MiB"
    shell.ok(f"disk add {SPARE} 36M --name=first")
    shell.ok(f"disk add {SPARE} rest --type=efi-system")
    show(shell.ok(f"disk part {SPARE}"))
    assert [(p["number"], p["type"], p["name"], p["size"] // MIB) for p in
            shell.listing(f"disk part {SPARE}")] == [
        (1, "linux", "für", 20), (2, "rayos", "first", 36), (3, "efi-system", "", 38)]
    assert "no room" in shell.run(f"disk add {SPARE} 1M").text
    assert "is no type" in shell.run(f"disk add {SPARE} 1M --type=fat").text
    assert "name one of its partitions" in shell.run(f"disk remove {SPARE} --yes").text
    shell.ok(f"volume format {SPARE}2 --yes", 60)
    assert "is in use" in shell.run(f"disk remove {SPARE}1 --yes").text
    shell.ok(f"volume unmount {SPARE}2", 60)
    shell.ok(f"disk remove {SPARE}1 --yes")
    names = [row["name"] for row in shell.listing("disk list") if row["name"].startswith(SPARE)]
    assert names == [SPARE, f"{SPARE}2", f"{SPARE}3"]
    said = subprocess.run(["/usr/sbin/sgdisk", "-v", "-p", disk_files[SPARE]], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    show(said)
    assert "No problems found" in said and "first" in said


@pytest.mark.parametrize("disk", DISKS)
def test_a_partition_as_a_guests_disk(shell, show, disk):
    part = DISKS[disk]
    if disk == next(iter(DISKS)):
        shell.ok("vm start linux", 60)
        with Guest(shell, "linux", booting=True) as guest:
            guest.ready()
    assert shell.run(f"vm attach linux disk dev={part}9").status
    shell.ok(f"vm attach linux disk dev={part},serial={part}", 60)
    assert "in use" in shell.run(f"vm attach linux disk dev={disk}").text
    with Guest(shell, "linux") as guest:
        images.verify_disk(guest, part, FIO, show, FIO_TIMEOUT)
    info = shell.run(f"disk info {part} --json").json
    show(shell.ok(f"disk info {part}"))
    assert info["discard_ops"] > 0 and info["flush_ops"] > 0 and info["errors"] == 0


@pytest.mark.parametrize("disk", DISKS)
def test_rebuilt_in_the_middle(shell, disk):
    with Guest(shell, "linux") as guest:
        guest.ok(f"mount $(disk {DISKS[disk]}) /mnt")
        job = guest.spawn(FIO)
    shell.ok("vm rebuild linux", 60)
    with Guest(shell, "linux") as guest:
        done = guest.join(job, FIO_TIMEOUT)
        assert done.status == 0 and "err= 0" in done.text, done.text
        guest.ok(f"umount /mnt && e2fsck -fn $(disk {DISKS[disk]})", 300)
        assert not guest.problems()


@pytest.mark.parametrize("disk", DISKS)
def test_a_controller_stands_still_and_goes_on(shell, disk):
    """What a guest asks of its disk waits meanwhile, and none of it is lost."""
    path = controller_of(shell, disk)
    with Guest(shell, "linux") as guest:
        guest.ok(f"mount $(disk {DISKS[disk]}) /mnt")
        job = guest.spawn(FIO)
    for _ in range(3):
        shell.ok(f"dev suspend {path}", 60)
        before = shell.run(f"disk info {disk} --json").json
        assert shell.ok(f"dev cat /dev/block/{disk}/state") == "suspended"
        after = shell.run(f"disk info {disk} --json").json
        assert after["write_bytes"] == before["write_bytes"]
        shell.ok(f"dev resume {path}", 60)
    with Guest(shell, "linux") as guest:
        done = guest.join(job, FIO_TIMEOUT)
        assert done.status == 0 and "err= 0" in done.text, done.text
        guest.ok(f"umount /mnt && e2fsck -fn $(disk {DISKS[disk]})", 300)
        assert not guest.problems()


def test_they_are_free_again(shell, disk_files):
    for disk in DISKS:
        info = shell.run(f"disk info {disk} --json").json
        assert info["errors"] == 0 and info["timeouts"] == 0
    shell.ok("vm kill linux", 60)
    deadline = time.monotonic() + 60
    while any(row["used_by"] != "-" for row in shell.listing("disk list")):
        assert time.monotonic() < deadline, "still in use"
        time.sleep(0.5)
    # Without its driver a controller's disks are gone; with it they are as they were.
    for disk in DISKS:
        path, serial = controller_of(shell, disk), shell.run(f"disk info {disk} --json").json["serial"]
        shell.ok(f"dev unbind {path} --yes", 60)
        assert disk not in [row["name"] for row in shell.listing("disk list")]
        assert shell.ok(f"dev cat {path}/driver") == "none"
        shell.ok(f"dev bind {path}", 60)
        assert shell.run(f"disk info {disk} --json").json["serial"] == serial
    shell.machine.stop()
    for disk in DISKS:
        with open(disk_files[disk], "rb") as image:
            image.seek(32 * MIB)
            assert image.read(2048)[1080:1082] == b"\x53\xef"  # ext4's magic
