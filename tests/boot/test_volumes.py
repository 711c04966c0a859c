# SPDX-License-Identifier: Apache-2.0
"""Volumes of a store on the host's disk: made, given to a Linux guest that verifies with fio what
it wrote, kept in snapshots while it writes, rolled back; and all there after the machine was
killed.

At full size (RAYOS_SOAK=1) fio verifies 512 MiB, else 16.
"""

import hashlib
import json
import os
import re
import subprocess
import time

import pytest

from conftest import SMP, TOP, build_image
from rayoslib import guest as images
from rayoslib.disks import MIB, store_image
from rayoslib.guest import Guest
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 512 if FULL else 16
FIO_TIMEOUT = 7200 if FULL else 1800
STORE_MIB = 4 * FIO_MIB + 256
CONF = images.conf()
FIO = images.fio(FIO_MIB)
PART = "nvme0n1p1"


@pytest.fixture(scope="module")
def qcow2(tmp_path_factory):
    """A compressed qcow2 image, one with a backing file, and what is in the first."""
    folder = tmp_path_factory.mktemp("qcow2")
    with open(folder / "disk.raw", "wb") as raw:
        for piece in range(40):
            raw.seek(piece * 700_000)
            raw.write(f"piece {piece} ".encode() * 20_000)
        raw.truncate(32 * MIB + 1536)
    for command in (f"convert -c -O qcow2 {folder}/disk.raw {folder}/debian.qcow2",
                    f"create -q -f qcow2 -F raw -b {folder}/disk.raw {folder}/child.qcow2",
                    f"convert -O raw {folder}/debian.qcow2 {folder}/again.raw"):
        subprocess.run(["qemu-img", *command.split()], check=True)
    return folder


@pytest.fixture(scope="module")
def iso(tmp_path_factory, qcow2):
    return build_image(tmp_path_factory.mktemp("iso"), [], CONF,
                       [images.CLOUD_KERNEL, images.INITRD, images.TOOLS,
                        qcow2 / "debian.qcow2", qcow2 / "child.qcow2"])


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """Where volumes are exported to."""
    path = tmp_path_factory.mktemp("target") / "target.img"
    path.write_bytes(b"\xee" * (33 * MIB))
    return path


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return store_image(tmp_path_factory.mktemp("disks") / "store.img", STORE_MIB, 128)


@pytest.fixture(scope="module")
def start(boot, iso, disk, target):
    def go(name):
        extra = ["-drive", f"if=none,id=t,format=raw,cache=writeback,file={target}",
                 "-device", "virtio-blk-pci,drive=t", "-drive", f"if=none,id=d,format=raw,cache=writeback,discard=unmap,file={disk}",
                 "-device", "nvme,serial=ST-1,drive=d"]
        return Shell(boot(name, iso=iso, cpus=SMP, memory=2048, extra=extra)).wait_ready()

    return go


@pytest.fixture(scope="module")
def shell(start):
    return start("volumes")


def checked(shell):
    """Everything in the store fits together."""
    check = shell.run("volume check --json", 120).json
    assert check["wrong"] == 0, check
    return check


def volumes(shell):
    return {row["name"]: row for row in shell.listing("volume list")}


# Of the reference of the shell: in an order in which each works.
EXAMPLES = ("volume format nvme0n1p2 --yes", "volume unmount nvme0n1p2", "volume mount nvme0n1p2",
            "volume stores", "volume create root 10G", "volume resize root 20G", "volume full root pause",
            "volume list",
            "volume snapshot root before-update", "volume clone root@before-update try",
            "volume rollback root before-update --yes", "volume stats", "volume check",
            "volume scrub", "volume import debian debian.qcow2", "volume export debian vda --yes")
# These end what the others need: their volume goes or has another name.
LAST = ("volume rename root old-root", "volume delete root --yes")


def test_examples(shell):
    reference = (TOP / "docs/shell.md").read_text()
    assert set(re.findall(r"^Example: `(volume .*)`$", reference, re.M)) == {*EXAMPLES, *LAST}
    for line in EXAMPLES:
        shell.ok(line, 60)
    shell.ok("volume delete root@before-update --yes")
    shell.ok("volume clone root other")
    shell.ok(LAST[0])
    shell.ok("volume rename other root")
    shell.ok(LAST[1])
    checked(shell)


def test_what_is_imported_is_exported(shell, qcow2, target, show):
    """By the examples: the same bytes as qemu-img makes of the image."""
    want = (qcow2 / "again.raw").read_bytes()
    got = target.read_bytes()
    sums = [hashlib.sha256(data).hexdigest() for data in (want, got[:len(want)])]
    show(f"qemu-img convert: {sums[0]}\nvolume export:    {sums[1]}")
    assert sums[0] == sums[1]
    rows = volumes(shell)
    assert rows["debian"]["size"] == len(want) and rows["debian"]["own"] < 12 * MIB
    refused = shell.run("volume import child child.qcow2")
    show(refused.text)
    assert refused.status and "backing file" in refused.text
    assert "no boot module" in shell.run("volume import x nothing.img").text
    assert "there is one of that name" in shell.run("volume import debian debian.qcow2").text
    shell.ok("volume create large 100M")
    assert "too small" in shell.run("volume export large vda --yes").text
    # From a disk as well: what was exported, a raw one.
    said = shell.ok("volume import copy vda --checksums", 120)
    assert re.search(rf"RAYOS_STORE:IMPORTED volume=copy format=raw bytes={33 * MIB}", said)
    assert {"debian", "large", "copy"} <= set(volumes(shell))
    for name in ("debian", "large", "copy"):
        shell.ok(f"volume delete {name} --yes")
    checked(shell)
    shell.ok("volume unmount nvme0n1p2")


def test_a_store_is_made(shell, show):
    assert "no store is mounted" in shell.run("volume create root 1G").text
    assert "no disk is named" in shell.run("volume format nvme9 --yes").text
    shell.ok(f"volume format {PART} --yes", 60)
    show(shell.ok("volume stores"))
    stores = shell.listing("volume stores")
    assert [(s["disk"], s["objects"], s["state"]) for s in stores] == [(PART, 0, "live")]
    assert stores[0]["size"] == STORE_MIB * MIB
    assert {r["name"]: r["used_by"] for r in shell.listing("disk list")}[PART] == "store"
    assert "in use" in shell.run(f"volume format {PART} --yes").text
    assert checked(shell)["objects"] == 0


def test_volumes_are_made(shell, show):
    shell.ok("volume create root 8G")
    shell.ok("volume create other 100M --checksums")
    assert "there is one of that name" in shell.run("volume create root 1G").text
    assert "byte 2 of the name is 0x20" in shell.run("volume create 'a b' 1G").text
    assert "a size of 512 bytes" in shell.run("volume create small 0").text
    shell.ok("volume rename other sums")
    shell.ok("volume resize sums 200M")
    show(shell.ok("volume list"))
    rows = volumes(shell)
    assert list(rows) == ["root", "sums"] and rows["root"]["size"] == 8 << 30
    assert rows["sums"]["checksums"] == "yes" and rows["sums"]["size"] == 200 * MIB
    assert "no volume is named 'nix'" in shell.run("volume delete nix --yes").text
    checked(shell)


def test_a_guest_on_a_volume(shell, show):
    shell.ok("vm start linux", 60)
    with Guest(shell, "linux", booting=True) as guest:
        guest.ready()
    assert "no volume is named" in shell.run("vm attach linux disk volume=nix").text
    shell.ok("vm attach linux disk volume=root,serial=root", 60)
    assert "is in use" in shell.run("vm attach linux disk volume=root").text
    assert "in use" in shell.run("volume delete root --yes").text
    with Guest(shell, "linux") as guest:
        guest.ok("until disk root; do sleep 0.2; done", 60)
        guest.ok("mkfs.ext4 -q $(disk root) && mkdir -p /mnt && mount $(disk root) /mnt", 300)
        said = guest.ok(FIO, FIO_TIMEOUT)
        images.fio_show(show, said)
        assert "err= 0" in said
        guest.ok("sync; echo 3 >/proc/sys/vm/drop_caches", 300)
        assert "err= 0" in guest.ok(f"{FIO} --verify_only", FIO_TIMEOUT)
    checked(shell)
    show(shell.ok("volume list"))
    show(shell.ok("volume stats"))


def test_snapshots_while_it_writes(shell, show):
    with Guest(shell, "linux") as guest:
        guest.ok("echo before >/mnt/said; sync")
        job = guest.spawn(FIO)
    for number in range(5):
        shell.ok(f"volume snapshot root s{number}", 60)
    with Guest(shell, "linux") as guest:
        guest.ok("echo after >/mnt/said; sync")
        done = guest.join(job, FIO_TIMEOUT)
        assert done.status == 0 and "err= 0" in done.text, done.text
        assert "err= 0" in guest.ok(f"{FIO} --verify_only", FIO_TIMEOUT)
        assert not guest.problems()
    for number in (1, 3):
        shell.ok(f"volume delete root@s{number} --yes")
    show(shell.ok("volume list"))
    assert [n for n in volumes(shell) if "@" in n] == ["root@s0", "root@s2", "root@s4"]
    shell.ok("volume clone root@s0 copy")
    shell.ok("vm attach linux disk volume=copy,serial=copy", 60)
    with Guest(shell, "linux") as guest:
        guest.ok("until disk copy; do sleep 0.2; done", 60)
        guest.ok("mkdir -p /copy && mount $(disk copy) /copy", 300)
        assert guest.ok("cat /copy/said") == "before"
        guest.ok("umount /copy && e2fsck -fn $(disk copy)", 300)
    checked(shell)


def test_with_checksums(shell, show):
    shell.ok("vm attach linux disk volume=sums,serial=sums", 60)
    with Guest(shell, "linux") as guest:
        guest.ok("until disk sums; do sleep 0.2; done", 60)
        said = guest.ok("fio --eta=never --name=s --filename=$(disk sums) --size=16M --rw=randwrite "
                        "--bsrange=512-64k --direct=1 --verify=crc32c --ioengine=io_uring "
                        "--iodepth=8", FIO_TIMEOUT)
        images.fio_show(show, said)
        assert "err= 0" in said
        assert not guest.problems()
    checked(shell)


def test_a_flipped_bit_is_found(shell, disk, show):
    """One of the volume with checksums, in the file below the disk."""
    clean = json.loads(shell.ok("volume scrub --json", 300).splitlines()[0])
    assert clean["wrong"] == 0 and clean["data_blocks"] >= 1000, clean
    with Guest(shell, "linux") as guest:
        guest.ok("yes 'a line to be found' | head -c 4096 >/tmp/line; "
                 "dd if=/tmp/line of=$(disk sums) bs=4096 seek=2048 oflag=direct", 60)
    with open(disk, "r+b") as image:
        at = image.read().find(b"a line to be found\n" * 20)
        assert at > 0 and at % 4096 == 0
        image.seek(at + 100)
        byte = image.read(1)
        image.seek(at + 100)
        image.write(bytes([byte[0] ^ 16]))
    said = shell.run("volume scrub", 300)
    show(said.text)
    assert said.status == 1 and "block 2048 of 'sums' is not what was written" in said.text
    assert re.search(r"RAYOS_STORE:SCRUBBED disk=nvme0n1p1 blocks=\d+ wrong=1", said.text)
    with Guest(shell, "linux") as guest:
        assert guest.run("dd if=$(disk sums) bs=4096 skip=2048 count=1 iflag=direct >/dev/null",
                         60).status
        assert "I/O error" in guest.ok("dmesg -c", 60)  # expected, and not again
        guest.ok("dd if=/tmp/line of=$(disk sums) bs=4096 seek=2048 oflag=direct", 60)
        guest.ok("dd if=$(disk sums) bs=4096 skip=2048 count=1 iflag=direct >/dev/null", 60)
    assert "wrong 0" in re.sub(r"[ :]+", " ", shell.ok("volume scrub", 300))


def test_no_space_pauses(shell, show):
    """Written to a store that is full: an error, or the VM waits, as `volume full` has it."""
    shell.ok("volume mount nvme0n1p2")
    slots = {}
    for name in ("ballast", "waits"):
        shell.ok(f"volume create nvme0n1p2:{name} 120M")
        said = shell.ok(f"vm attach linux disk volume=nvme0n1p2:{name},serial={name}", 60)
        slots[name] = re.search(r"DEVICE:ATTACHED vm=linux device=(\w+)", said).group(1)
    write = "fio --eta=never --name=w --filename=$(disk {}) --size={}M --rw=write --bs=64k " \
            "--direct=1 --verify=crc32c --ioengine=io_uring --iodepth=8"
    with Guest(shell, "linux") as guest:
        guest.ok("until disk ballast && disk waits; do sleep 0.2; done", 60)
        guest.ok(write.format("ballast", 70), FIO_TIMEOUT)
        assert guest.run(write.format("waits", 100), FIO_TIMEOUT).status
        assert "I/O error" in guest.ok("dmesg -c", 60)  # expected, and not again
        guest.ok("blkdiscard $(disk waits)")
    shell.ok(f"vm detach linux {slots['ballast']}", 60)
    assert "'fail' or 'pause'" in shell.run("volume full nvme0n1p2:waits x").text
    shell.ok("volume full nvme0n1p2:waits pause")
    assert volumes(shell)["waits"]["when_full"] == "pause"
    with Guest(shell, "linux") as guest:
        job = guest.spawn(write.format("waits", 100))
    paused = "RAYOS_VM:PAUSED name=linux reason=no-space-for-nvme0n1p2:waits"
    shell.machine.expect(paused, FIO_TIMEOUT)
    rows = shell.listing("vm list")
    assert [(r["state"], r["reason"]) for r in rows if r["name"] == "linux"] == \
        [("paused", "no-space-for-nvme0n1p2:waits")]
    show(shell.ok("vm list"))
    shell.machine.send_line("vm resume linux")  # too early: nobody made space
    shell.machine.expect(paused, 60)
    shell.ok("vm rebuild linux", 60)
    shell.ok("volume delete nvme0n1p2:ballast --yes")
    shell.ok("vm resume linux")
    with Guest(shell, "linux") as guest:
        done = guest.join(job, FIO_TIMEOUT)
        images.fio_show(show, done.text)
        assert done.status == 0 and "err= 0" in done.text, done.text
        assert not guest.problems()
    shell.ok(f"vm detach linux {slots['waits']}", 60)
    assert shell.run("volume check nvme0n1p2 --json", 120).json["wrong"] == 0
    shell.ok("volume delete nvme0n1p2:waits --yes")
    shell.ok("volume unmount nvme0n1p2")


def test_rebuilt_in_the_middle(shell):
    with Guest(shell, "linux") as guest:
        job = guest.spawn(FIO)
    shell.ok("vm rebuild linux", 60)
    with Guest(shell, "linux") as guest:
        done = guest.join(job, FIO_TIMEOUT)
        assert done.status == 0 and "err= 0" in done.text, done.text
        guest.ok("fstrim -v /mnt; sync", 300)
        assert "err= 0" in guest.ok(f"{FIO} --verify_only", FIO_TIMEOUT)
        guest.ok("rm /mnt/v*; sync; fstrim /mnt; echo last >/mnt/said; sync", 300)
        assert not guest.problems()
    checked(shell)
    shell.ok("vm define kept kernel=vmlinuz initrd=test-initrd.img memory=256M "
             "\"cmdline=console=ttyS0 quiet\" disk=module=tools.img,ro,serial=tools "
             "disk=volume=root,serial=root")
    shell.ok("vm define gone kernel=vmlinuz")
    shell.ok("vm undefine gone")
    shell.machine.stop()


def test_all_of_it_is_there_again(start, show):
    """The machine was stopped with a guest running; what its flushes said is kept."""
    shell = start("volumes-again")
    shell.ok("volume unmount nvme0n1p2")  # the examples': it was mounted, as all are
    show(shell.ok("volume list"))
    rows = volumes(shell)
    assert set(rows) == {"root", "root@s0", "root@s2", "root@s4", "sums", "copy"}
    checked(shell)
    assert [row["name"] for row in shell.listing("vm list")] == ["linux", "kept"]
    shell.ok("vm start kept", 60)
    with Guest(shell, "kept", booting=True) as guest:
        guest.ready()
        guest.ok("mkdir -p /mnt && mount $(disk root) /mnt && cat /mnt/said", 300)
        assert guest.ok("cat /mnt/said") == "last"
        guest.ok("umount /mnt && e2fsck -fn $(disk root)", 300)
    shell.ok("vm kill kept", 60)
    shell.ok("vm undefine kept")
    shell.ok("volume rollback root s2 --yes")
    for name in ("root@s0", "root@s2", "root@s4", "root", "copy", "sums"):
        shell.ok(f"volume delete {name} --yes", 60)
    deadline = time.monotonic() + 120
    while shell.run("volume stats --json").json["data"]:
        assert time.monotonic() < deadline, "space is not given back"
        time.sleep(0.5)
    show(shell.ok("volume stats"))
    assert checked(shell)["extents"] == 0
