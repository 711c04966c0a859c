# SPDX-License-Identifier: Apache-2.0
"""Disks of a stock Linux guest: a RAM disk with a file system under fio, a boot module read-only
and copied on write, discards that give memory back, quotas.

At full size (RAYOS_SOAK=1) fio verifies 256 MiB, else 16.
"""

import os
import re

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = 256 if FULL else 16
FIO_BLOCK = "16k" if FULL else "4k"
FIO_TIMEOUT = 7200 if FULL else 1800
DISK_MIB = FIO_MIB + 64
MODULES = [images.CLOUD_KERNEL, images.INITRD, images.TOOLS]
CONF = f"""
[vm a]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=ttyS0 quiet
vcpus = 2
memory = 256M
disk = module=tools.img,ro,serial=tools
disk = ram={DISK_MIB}M,serial=data
disk = module=tools.img,serial=copy
disk = ram=16M,serial=slow,iops=100
disk = ram=64M,serial=small,space=8M
"""
FIO = ("fio --eta=never --name=v --directory=/mnt --size={size}M --rw=randwrite --bs={bs} --direct=1 "
       "--verify=crc32c --ioengine=io_uring --iodepth=16")


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("blk"), [], CONF, MODULES)
    shell = Shell(boot("test_blk", iso=iso, cpus=SMP, memory=2048)).wait_ready()
    start(shell, "a")
    with Guest(shell, "a", booting=True) as guest:
        assert guest.ready()["tools"].startswith("/dev/vd")
    return shell


def in_use(shell, disk):
    """Bytes that a disk has taken of the host's memory."""
    rows = shell.run("device status a --json").json
    return next(row["space_used"] for row in rows if row["device"] == disk)


def disk_of(guest, serial):
    return guest.ok(f"disk {serial}").strip()


def test_seen_as_configured(shell, show):
    with Guest(shell, "a") as guest:
        show(guest.ok("lspci -nn; grep vd /proc/partitions"))
        data = disk_of(guest, "data").removeprefix("/dev/")
        tools = disk_of(guest, "tools").removeprefix("/dev/")
        sysfs = {name: guest.ok(f"cat /sys/block/{data}/{name}").strip() for name in (
            "size", "queue/logical_block_size", "queue/physical_block_size",
            "queue/optimal_io_size", "queue/discard_granularity", "queue/write_cache",
            "cache_type", "ro")}
        assert sysfs == {
            "size": str(DISK_MIB * 2048), "queue/logical_block_size": "512",
            "queue/physical_block_size": "4096", "queue/optimal_io_size": "65536",
            "queue/discard_granularity": "65536", "queue/write_cache": "write back",
            "cache_type": "write back", "ro": "0"}
        assert guest.ok(f"ls /sys/block/{data}/mq | wc -l").strip() == "2"
        assert guest.ok(f"cat /sys/block/{tools}/ro").strip() == "1"
        guest.ok(f"echo 'write through' > /sys/block/{data}/cache_type")
        assert guest.ok(f"cat /sys/block/{data}/cache_type").strip() == "write through"
        guest.ok(f"echo 'write back' > /sys/block/{data}/cache_type")
        assert guest.problems() == ""


def test_ext4_and_fio(shell, show):
    with Guest(shell, "a") as guest:
        data = disk_of(guest, "data")
        guest.ok(f"mkfs.ext4 -q {data} && mkdir -p /mnt && mount -o discard {data} /mnt", 120)
        said = guest.ok(FIO.format(size=FIO_MIB, bs=FIO_BLOCK), FIO_TIMEOUT)
        show("\n".join(line for line in said.splitlines() if re.search(r"err=|IOPS", line)))
        assert "err= 0" in said
        guest.ok("fstrim -v /mnt", 120)
        guest.ok("sync; echo 3 > /proc/sys/vm/drop_caches")
        said = guest.ok(FIO.format(size=FIO_MIB, bs=FIO_BLOCK) + " --verify_only", FIO_TIMEOUT)
        assert "err= 0" in said
        assert guest.problems() == ""
    full = in_use(shell, "disk1")
    assert full >= FIO_MIB << 20
    with Guest(shell, "a") as guest:
        guest.ok("rm /mnt/*; sync; fstrim /mnt; umount /mnt; e2fsck -fn " + data, 300)
    trimmed = in_use(shell, "disk1")
    assert trimmed < full - (FIO_MIB << 20) * 3 // 4
    with Guest(shell, "a") as guest:
        guest.ok(f"blkdiscard -f {data}", 120)
        assert guest.ok(f"tr -d '\\0' < {data} | head -c 1 | wc -c", 300).strip() == "0"
        assert guest.problems() == ""
    show(f"bytes in use: {full} with the data, {trimmed} trimmed, "
         f"{in_use(shell, 'disk1')} all discarded")
    assert in_use(shell, "disk1") < 1 << 20


def test_module_is_not_touched(shell):
    """The same module twice: what is written to the copy, the read-only disk does not show."""
    with Guest(shell, "a") as guest:
        copy, tools = disk_of(guest, "copy"), disk_of(guest, "tools")
        guest.ok(f"cmp {copy} {tools}", 300)
        guest.ok(f"mkdir -p /copy && mount {copy} /copy && echo hello > /copy/new && "
                 "dd if=/dev/urandom of=/copy/data bs=64k count=6 && sync", 120)
        guest.ok("sha1sum /copy/data > /tmp/sum && umount /copy && "
                 f"mount {copy} /copy && sha1sum -c /tmp/sum && cat /copy/new", 120)
        guest.ok("umount /copy")
        assert guest.run(f"cmp -s {copy} {tools}", 300).status == 1
        assert guest.run(f"dd if=/dev/zero of={tools} bs=512 count=1").status != 0
        guest.ok("ls -la /tools/bin | wc -l && echo 3 > /proc/sys/vm/drop_caches && fio --version")
        # Zeros over all of it: the module must not show through.
        guest.ok(f"blkdiscard -fz {copy}", 300)
        assert guest.ok(f"tr -d '\\0' < {copy} | head -c 1 | wc -c", 300).strip() == "0"
        assert guest.problems() == ""
    assert in_use(shell, "disk2") < 1 << 20


def test_rebuild_under_load(shell):
    """Devices taken apart and put together while fio verifies: their disks stay."""
    with Guest(shell, "a") as guest:
        data = disk_of(guest, "data")
        guest.ok(f"mkfs.ext4 -qF {data} && mount {data} /mnt", 120)
        job = guest.spawn(FIO.format(size=16, bs="32k"))
    for _ in range(3):
        assert shell.run("vm rebuild a", 60).status == 0
    with Guest(shell, "a") as guest:
        done = guest.join(job, 1800)
        assert done.status == 0 and "err= 0" in done.text, done.text
        guest.ok("umount /mnt")
        assert guest.problems() == ""


def test_operations_quota(shell):
    """110 reads with 100 a second and 10 at once take a second."""
    with Guest(shell, "a") as guest:
        slow = disk_of(guest, "slow")
        guest.ok("sleep 1")
        said = guest.ok("cat /proc/uptime; dd if={slow} of=/dev/null bs=4k count=110 iflag=direct "
                        "2>/dev/null; cat /proc/uptime".format(slow=slow), 120)
        begin, end = (float(at) for at in re.findall(r"^(\d+\.\d+) \d", said, re.M))
        assert end - begin >= 0.95
    assert "QUOTA_EXCEEDED vm=a device=disk3 what=ops" in shell.machine.text()


def test_space_quota(shell):
    """8 MiB of memory for a disk of 64: beyond that writes fail, and nothing else."""
    with Guest(shell, "a") as guest:
        small = disk_of(guest, "small")
        guest.ok(f"dd if=/dev/zero of={small} bs=64k count=100 oflag=direct")
        assert guest.run(f"dd if=/dev/zero of={small} bs=64k seek=100 count=200 "
                         "oflag=direct").status != 0
        guest.ok(f"dd if=/dev/zero of={small} bs=64k count=100 oflag=direct")
        guest.ok(f"blkdiscard -f {small} && dd if=/dev/zero of={small} bs=64k seek=200 count=100 "
                 "oflag=direct", 120)
        guest.ok("ls /tools/bin >/dev/null")
    told = shell.machine.text().count("QUOTA_EXCEEDED vm=a device=disk4 what=space")
    assert told == 1
    assert in_use(shell, "disk4") <= 8 << 20


def test_counted(shell, show):
    said = shell.run("device stats a --operations").text
    show(said)
    show(shell.run("device status a").text)
    by_name = {row["device"]: row for row in shell.run("device stats a --json").json}
    assert by_name["disk0"]["errors"] == 0 and by_name["disk0"]["bytes"] > 1 << 20
    assert by_name["disk4"]["errors"] > 0
