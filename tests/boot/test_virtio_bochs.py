# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel under Intel VMX and under AMD SVM with next-RIP, both in Bochs, with its own
virtio drivers on our devices: fio verifies 16 MiB that it wrote, with a rebuild in its middle.
"""

import os
import re

import pytest

from conftest import build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.measure import emulator_version
from rayoslib.shell import Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
pytestmark = pytest.mark.skipif(not SOAK, reason="minutes in Bochs: full size only (make soak)")
TIMEOUT = 900
FIO_TIMEOUT = 7200
MACHINES = [("vmx", 1), ("vmx", 2), ("svm-bochs", 1)]
CONF = """
[vm linux]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=ttyS0 quiet
memory = 256M
disk = module=tools.img,ro,serial=tools
disk = ram=64M,serial=data
console = agent
rng =
balloon =
input = keyboard
net =
vsock =
"""
# Of lspci -nn: how often each ID is there.
DEVICES = {"1af4:1041": 1, "1af4:1042": 2, "1af4:1043": 1, "1af4:1044": 1, "1af4:1045": 1,
           "1af4:1052": 1, "1af4:1053": 1}
FIO = ("fio --name=v --directory=/mnt --size=16M --rw=randwrite --bs=16k --direct=1 "
       "--verify=crc32c --ioengine=io_uring --iodepth=8")


@pytest.fixture(scope="module")
def iso(tmp_path_factory):
    return build_image(tmp_path_factory.mktemp("bochs"), [], CONF,
                       [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])


def begin(guest, show):
    """The machine as Linux finds it, then fio on a file system of its own; the job."""
    assert guest.ready(TIMEOUT)["tools"].startswith("/dev/vd")
    uname, listing = guest.ok("uname -a", TIMEOUT), guest.ok("lspci -nn", TIMEOUT)
    show(f"{uname}\n{listing}")
    assert re.search(r"^Linux \S+ 6\.1\.\S+-cloud-amd64 .*x86_64", uname)
    assert {ids: listing.count(ids) for ids in DEVICES} == DEVICES
    drivers = guest.ok("ls -d /sys/bus/virtio/devices/*/driver | wc -l", TIMEOUT)
    assert int(drivers) == sum(DEVICES.values())
    guest.ok("mkfs.ext4 -q $(disk data) && mkdir -p /mnt && mount $(disk data) /mnt", TIMEOUT)
    return guest.spawn(FIO)


def verify(guest, job, show):
    """fio's end, discard, what it wrote once more, and then all discarded."""
    done = guest.join(job, FIO_TIMEOUT)
    show("\n".join(line for line in done.text.splitlines() if re.search(r"err=|IOPS", line)))
    assert done.status == 0 and "err= 0" in done.text, done.text
    guest.ok("sync; fstrim -v /mnt; echo 3 >/proc/sys/vm/drop_caches", TIMEOUT)
    assert "err= 0" in guest.ok(f"{FIO} --verify_only", FIO_TIMEOUT)
    guest.ok("umount /mnt && e2fsck -fn $(disk data) && blkdiscard -f $(disk data)", TIMEOUT)
    zeros = guest.ok("dd if=$(disk data) bs=1M count=4 2>/dev/null | tr -d '\\0' | wc -c", TIMEOUT)
    assert zeros == "0"
    assert not guest.problems()


def whole_life(target, show, backend, cpus):
    shell = Shell(target).wait_ready()
    assert f"RAYOS_VMM:BACKEND_READY backend={backend.split('-')[0]}" in target.text()
    assert f"RAYOS_BOOT_MARKER:SUBSYSTEMS_READY cpus={cpus}" in target.text()
    start(shell, "linux", TIMEOUT)
    with Guest(shell, "linux", booting=True) as guest:
        job = begin(guest, show)
    show(shell.ok("vm rebuild linux", TIMEOUT))  # the guest does not notice
    with Guest(shell, "linux") as guest:
        verify(guest, job, show)
    target.send_line("vm stop linux")
    target.expect("RAYOS_VM:STOPPED name=linux", TIMEOUT)


@pytest.mark.parametrize("backend, cpus", MACHINES)
def test_linux_and_its_devices(boot, iso, show, backend, cpus):
    if (backend, cpus) == ("vmx", 2) and emulator_version(backend).startswith("bochs 3."):
        pytest.skip("Bochs 3 with 2 CPUs: Linux' early page fault meets a CR2 nobody wrote, "
                    "with 1 CPU and in Bochs 2.7 it does not")
    target = boot(f"linux-{backend}-{cpus}", iso=iso, backend=backend, cpus=cpus, memory=1024)
    try:
        whole_life(target, show, backend, cpus)
    finally:
        target.stop()  # an idle guest keeps Bochs as busy as any
