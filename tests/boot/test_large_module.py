# SPDX-License-Identifier: Apache-2.0
"""A module of 1 GiB, from CD and from a USB stick: all of it arrives, as a guest finds out.

Only at full size (RAYOS_SOAK=1): it takes minutes.
"""

import hashlib
import os
import random

import pytest

from conftest import TOP, build_image
from rayoslib.console import Console
from rayoslib.shell import Shell

pytestmark = pytest.mark.skipif(os.environ.get("RAYOS_SOAK") != "1", reason="full size only")

SIZE = 1 << 30
CHUNK = 1 << 20
LOADED = 1800  # seconds until the firmware has read it all, host busy
GUEST = 1200


def newc(name, size, ino, mode):
    """The head of a file in a cpio archive as Linux unpacks it (initramfs buffer format)."""
    fields = [ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4)


def large_initrd(path):
    """The demo's initrd and behind it one file of noise; returns the file's MD5."""
    small = (TOP / "build/guest/initrd.img").read_bytes()
    small += bytes(-len(small) % 4)
    end = newc("TRAILER!!!", 0, 0, 0)
    head = len(newc("noise", 0, 1, 0o100644))
    length = SIZE - len(small) - head - len(end)
    length -= length % 4
    noise, digest = random.Random(1), hashlib.md5()
    with open(path, "wb") as out:
        out.write(small + newc("noise", length, 1, 0o100644))
        while length > 0:
            chunk = noise.randbytes(min(length, CHUNK))
            digest.update(chunk)
            out.write(chunk)
            length -= len(chunk)
        out.write(end)
        out.truncate(SIZE)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """(image, MD5 of the file in its large module); gone afterwards."""
    folder = tmp_path_factory.mktemp("large")
    digest = large_initrd(folder / "large.img")
    iso = build_image(folder, [], files=[TOP / "build/deps/linux/vmlinuz", folder / "large.img"])
    (folder / "large.img").unlink()
    yield iso, digest
    iso.unlink()


@pytest.mark.parametrize("usb", [False, True], ids=["cd", "stick"])
def test_one_gibibyte(boot, image, show, usb):
    iso, digest = image
    target = boot(f"large-{'stick' if usb else 'cd'}", iso=iso, cpus=2, memory=5120, usb=usb)
    target.expect("RAYOS_BOOT_MARKER:KERNEL_LOADED", LOADED)
    shell = Shell(target).wait_ready()
    modules = {row["name"]: row for row in shell.run("vm modules --json").json}
    assert modules["large.img"]["size"] == SIZE
    # A tmpfs takes no more than half of the memory that the initrd leaves.
    shell.ok("vm define large kernel=vmlinuz initrd=large.img memory=3G "
             "'cmdline=console=ttyS0 quiet rootfstype=ramfs'")
    shell.ok("vm start large", GUEST)
    with Console(shell, "large", booting=True) as guest:
        guest.ready(GUEST)
        assert digest in guest.run("md5sum /noise", GUEST)
    show(f"1 GiB by {'USB stick' if usb else 'CD'}: md5 {digest} in the guest")
    target.stop()
