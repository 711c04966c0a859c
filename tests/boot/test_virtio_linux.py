# SPDX-License-Identifier: Apache-2.0
"""Debian's stock kernel and its own virtio drivers on our devices, under SVM in QEMU."""

import re

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

CONF = """
[vm linux]
kernel = vmlinuz
initrd = test-tools-initrd.img
cmdline = console=ttyS0 quiet
memory = 256M
vcpus = 2
rng = rate=64K
"""
DEVICES = {"rng0": "1af4:1044"}


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("virtio"), [], CONF,
                      [images.CLOUD_KERNEL, images.INITRD_TOOLS])
    shell = Shell(boot("virtio_linux", iso=iso, cpus=SMP, memory=2048)).wait_ready()
    start(shell, "linux")
    with Guest(shell, "linux", booting=True) as guest:
        guest.ready()
    return shell


def test_every_device_is_found(shell, show):
    with Guest(shell, "linux") as guest:
        listing = guest.ok("lspci -nn")
        bus = guest.ok("ls /sys/bus/virtio/devices; for d in /sys/bus/virtio/devices/*; do "
                       "echo $(cat $d/device) $(basename $(readlink $d/driver)) "
                       "$(cat $d/status); done")
    show(listing + "\n" + bus)
    for name, ids in DEVICES.items():
        assert ids in listing, name
    assert not re.search(r"^\S+ \. ", bus, re.M), "a device without a driver"
    assert "RAYOS_DEVICE:READY vm=linux device=rng0" in shell.machine.text()


def test_random_numbers(shell, show):
    with Guest(shell, "linux") as guest:
        assert "virtio_rng" in guest.ok("cat /sys/class/misc/hw_random/rng_current")
        samples = [guest.ok("dd if=/dev/hwrng bs=512 count=1 2>/dev/null | md5sum") for _ in "ab"]
        interrupts = guest.ok("grep virtio /proc/interrupts")
        assert not guest.problems()
    show(interrupts)
    assert samples[0] != samples[1]


def test_guests_keep_off_the_first_cpu(shell):
    """An emulator mixes up its state there (docs/backends.md)."""
    with Guest(shell, "linux") as guest:
        guest.ok("for i in 1 2; do (i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done) & done; wait")
    threads = [t for t in shell.listing("threads") if t["name"].startswith("linux/")]
    assert len(threads) == 3
    assert all(t["cpu"] != 0 for t in threads), threads
