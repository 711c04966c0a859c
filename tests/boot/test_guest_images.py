# SPDX-License-Identifier: Apache-2.0
"""The images of the test guests, and the helper that types into them; no device is needed.

One machine; the guests have the tools in their initramfs.
"""

import hashlib
import re

import pytest

from conftest import build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, GuestError, start
from rayoslib.shell import Shell

MODULES = [images.CLOUD_KERNEL, images.INITRD_TOOLS]
CONF = """
[vm tools]
kernel = vmlinuz
initrd = test-tools-initrd.img
cmdline = console=ttyS0 quiet
memory = 256M
[vm once]
kernel = vmlinuz
initrd = test-tools-initrd.img
cmdline = console=ttyS0 quiet nomods cmd="echo it is $(uname -s); lsmod | grep -c ^virtio; exit 3"
memory = 256M
"""


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("images"), [], CONF, MODULES)
    return Shell(boot("test_guest_images", iso=iso, cpus=2, memory=2048)).wait_ready()


@pytest.fixture(scope="module")
def tools(shell):
    """The VM `tools`, booted."""
    start(shell, "tools")
    with Guest(shell, "tools", booting=True) as guest:
        said = guest.ready()
    assert said["tools"] == "initramfs" and said["cpus"] == "1"
    return shell


def test_tools(tools, show):
    with Guest(tools, "tools") as guest:
        said = [guest.ok(line) for line in ("fio --version", "iperf3 --version", "lspci -nn")]
        show("\n".join(said))
        assert said[0].startswith("fio-3.") and said[1].startswith("iperf 3.")
        for line in ("mkfs.ext4 -V", "e2fsck -V", "ping -V", "blkdiscard --version"):
            guest.ok(line)
        assert guest.problems() == ""


def test_modules_load(tools):
    with Guest(tools, "tools") as guest:
        loaded = guest.ok("lsmod")
    for name in ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng",
                 "virtio_balloon", "virtio_input", "vmw_vsock_virtio_transport"):
        assert re.search(rf"^{name} ", loaded, re.M), loaded


def test_fio_verifies(tools):
    """A file system in a file: what a disk will be asked for, without a disk."""
    with Guest(tools, "tools") as guest:
        guest.ok("truncate -s 16M /root/disk && mkfs.ext4 -q /root/disk && e2fsck -fp /root/disk")
        job = guest.spawn("fio --name=v --filename=/root/data --size=4M --rw=randwrite --bs=4k "
                          "--verify=crc32c --ioengine=io_uring --iodepth=8")
        assert guest.ok("uname -s") == "Linux"
        done = guest.join(job, 300)
        assert done.status == 0 and "err= 0" in done.text, done.text
        guest.ok("rm /root/data /root/disk")


def test_helper(tools):
    with Guest(tools, "tools") as guest:
        assert guest.run("false").status == 1
        assert guest.run("printf 'a\\nb'").text == "a\nb"
        assert guest.run(f"echo {'x' * 800} | wc -c").text == "801"
        with pytest.raises(GuestError, match="syntax error"):
            guest.run("echo )")
        with pytest.raises(GuestError, match="ended with 1"):
            guest.ok("false")
        data = bytes(range(256)) * 6
        guest.put("/tmp/data", data)
        assert guest.ok("md5sum </tmp/data").split()[0] == hashlib.md5(data).hexdigest()


def test_one_command(shell):
    """cmd= runs without a person, says how it ended and powers the guest off."""
    start(shell, "once")
    with Guest(shell, "once", booting=True) as guest:
        done = guest.outcome()
    assert (done.text, done.status) == ("it is Linux\n0", 3)
