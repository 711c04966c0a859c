# SPDX-License-Identifier: Apache-2.0
"""Power cuts: QEMU records every write and flush of the host's disk while a guest writes to a
volume and snapshots come and go; then the states that a cut may have left are made from the record,
mounted with the kernel's code and looked through (tests/tools/storecut.c).

At full size (RAYOS_SOAK=1) 2000 states of 1500 steps, else 200 of 100; and twenty machines that are
killed while a guest writes, else one.
"""

import os
import re
import shutil
import subprocess
import time

import pytest

from conftest import SMP, TOP, build_image
from rayoslib import guest as images
from rayoslib.disks import store_image
from rayoslib.guest import Guest
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
STEPS, STATES = (1500, 2000) if FULL else (100, 200)
STORE_MIB, VOLUME_MIB, SEED = 64, 4, 7
SECTORS = VOLUME_MIB << 11
CONF = images.conf()


@pytest.fixture(scope="module")
def iso(tmp_path_factory):
    return build_image(tmp_path_factory.mktemp("iso"), [], CONF,
                       [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return store_image(tmp_path_factory.mktemp("disks") / "store.img", STORE_MIB, 4)


def first_sectors(disk):
    said = subprocess.run(["/usr/sbin/sgdisk", "-p", disk], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    return [int(m) for m in re.findall(r"^ +\d+ +(\d+) +\d+ ", said, re.M)]


def guest_with(shell, name):
    """A guest with the volume and, for its acknowledgements, the other partition."""
    shell.ok("vm start linux", 60)
    with Guest(shell, "linux", booting=True) as guest:
        guest.ready()
    shell.ok(f"vm attach linux disk volume={name},serial=load", 60)
    shell.ok("vm attach linux disk dev=nvme0n1p2,serial=ack", 60)
    with Guest(shell, "linux") as guest:
        guest.ok("until disk load && disk ack; do sleep 0.2; done", 60)


@pytest.fixture(scope="module")
def record(boot, iso, disk, tmp_path_factory):
    """The disk as it was, and the log of what was written to it."""
    folder = tmp_path_factory.mktemp("record")
    shutil.copy(disk, folder / "base.img")
    extra = ["-blockdev", f"driver=blklogwrites,node-name=d,file.driver=file,file.filename={disk},"
             f"log.driver=file,log.filename={folder / 'log'}",
             "-device", "nvme,serial=ST-1,drive=d"]
    (folder / "log").write_bytes(b"")
    shell = Shell(boot("power-cut", iso=iso, cpus=SMP, memory=1024, extra=extra)).wait_ready()
    shell.ok("volume format nvme0n1p1 --yes", 60)
    shell.ok(f"volume create load {VOLUME_MIB}M")
    guest_with(shell, "load")
    with Guest(shell, "linux") as guest:
        job = guest.spawn(f"cutload $(disk load) $(disk ack) {STEPS} {SEED}")
    for number in range(12):
        shell.ok(f"volume snapshot load s{number}", 60)
        shell.ok(f"volume clone load@s{number} c{number}", 60)
        if number % 3 == 2:
            shell.ok(f"volume delete load@s{number - 1} --yes", 60)
            shell.ok(f"volume delete r{number - 2} --yes", 60)
        shell.ok(f"volume rename c{number} r{number}", 60)
        time.sleep(0.1)  # for the guest; nothing waits for it
    with Guest(shell, "linux") as guest:
        done = guest.join(job, 3600)
        assert done.status == 0 and f"steps={STEPS}" in done.text, done.text
    assert shell.run("volume check --json", 60).json["wrong"] == 0
    shell.machine.send_line("poweroff")
    shell.machine.wait_exit(120)
    return folder


def storecut(record, disk, log, states, seconds=3600):
    store, ack = first_sectors(disk)
    command = [TOP / "build/asan/bin/storecut", record / "base.img", log, store,
               STORE_MIB << 8, ack, "load", SECTORS, SEED, states]
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                          check=False, timeout=seconds)


def test_any_cut(record, disk, show):
    subprocess.run(["make", "storecut"], cwd=TOP, check=True, stdout=subprocess.DEVNULL)
    done = storecut(record, disk, record / "log", STATES)
    show(done.stdout)
    assert done.returncode == 0, done.stdout
    assert re.search(rf"{STEPS} steps, \d+ snapshots, {STATES} states, 0 bad", done.stdout)


def without_flushes(log, out):
    """The same log, every second flush of it a write of nothing: what a kernel that forgets some
    would have left."""
    data = bytearray(log.read_bytes())
    at, flushes = 512, 0
    for _ in range(int.from_bytes(data[16:24], "little")):
        count, flags = (int.from_bytes(data[at + n:at + n + 8], "little") for n in (8, 16))
        if flags & 1:
            flushes += 1
            if flushes % 2:
                data[at + 16:at + 24] = (flags & ~1).to_bytes(8, "little")
        at += 512 + (0 if flags & 4 else count * 512)
    out.write_bytes(data)
    return flushes


def test_without_flushes_it_shows(record, disk, show):
    """The judge can say no: with flushes taken away something is lost."""
    flushes = without_flushes(record / "log", record / "less")
    assert flushes > STEPS
    done = storecut(record, disk, record / "less", min(STATES, 200))
    show(done.stdout)
    assert done.returncode == 1


def last_step(disk):
    """What the guest has written behind each flush."""
    with open(disk, "rb") as image:
        image.seek(first_sectors(disk)[1] * 512)
        return int.from_bytes(image.read(8), "little")


@pytest.mark.parametrize("kill", range(20 if FULL else 1))
def test_killed(boot, iso, tmp_path, show, kill):
    """The emulator dies at some moment; a new one finds what was acknowledged before."""
    disk = store_image(tmp_path / "store.img", STORE_MIB, 4)
    extra = ["-drive", f"if=none,id=d,format=raw,cache=writeback,file={disk}",
             "-device", "nvme,serial=ST-1,drive=d"]
    shell = Shell(boot(f"killed-{kill}", iso=iso, cpus=SMP, memory=1024, extra=extra)).wait_ready()
    shell.ok("volume format nvme0n1p1 --yes", 60)
    shell.ok(f"volume create load {VOLUME_MIB}M")
    guest_with(shell, "load")
    with Guest(shell, "linux") as guest:
        guest.spawn(f"cutload $(disk load) $(disk ack) 1000000 {SEED}")
    shell.ok("volume snapshot load first", 60)
    deadline = time.monotonic() + 120
    while last_step(disk) < 20 + 7 * kill:
        assert time.monotonic() < deadline, "the guest does not write"
        time.sleep(0.05)
    shell.machine.stop()
    step = last_step(disk)
    again = Shell(boot(f"killed-{kill}-again", iso=iso, cpus=SMP, memory=1024,
                       extra=extra)).wait_ready()
    assert again.run("volume check --json", 60).json["wrong"] == 0
    assert {row["name"] for row in again.listing("volume list")} == {"load", "load@first"}
    again.ok("volume delete load@first --yes")
    again.machine.send_line("poweroff")
    again.machine.wait_exit(120)
    # The judge looks at the disk as it is: a record of nothing but its last step.
    number = step.to_bytes(8, "little").ljust(512, b"\0")
    words = (0x6a736677736872, 1, 2)
    log = b"".join(n.to_bytes(8, "little") for n in words) + (512).to_bytes(4, "little")
    ack = first_sectors(disk)[1]
    for entry in ((ack, 1, 0, 0), (0, 0, 1, 0)):
        log = log.ljust((len(log) + 511) // 512 * 512, b"\0")
        log += b"".join(n.to_bytes(8, "little") for n in entry)
        log = log.ljust((len(log) + 511) // 512 * 512, b"\0") + (number if entry[1] else b"")
    (tmp_path / "log").write_bytes(log)
    shutil.copy(disk, tmp_path / "base.img")
    done = storecut(tmp_path, disk, tmp_path / "log", 1)
    show(f"killed at step {step}\n{done.stdout}")
    assert done.returncode == 0 and step >= 20, done.stdout
