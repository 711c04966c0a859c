# SPDX-License-Identifier: Apache-2.0
"""What a Linux guest frees comes back to the host: by reports of free pages, by the balloon."""

import time

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

MIB = 1 << 20
CONF = """
[vm linux]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=ttyS0 quiet
memory = 768M
vcpus = 2
balloon =
"""


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("balloon"), [], CONF,
                      [images.CLOUD_KERNEL, images.INITRD])
    shell = Shell(boot("balloon", iso=iso, cpus=SMP, memory=2048)).wait_ready()
    start(shell, "linux")
    with Guest(shell, "linux", booting=True) as guest:
        guest.ready()
    return shell


def settled(shell, enough, timeout=400):
    """Free bytes of the host once they are @enough, or at the deadline."""
    deadline = time.monotonic() + timeout
    while True:
        free = shell.run("mem --json").json["free"]
        if enough(free) or time.monotonic() > deadline:
            return free
        time.sleep(1)


def test_what_the_guest_frees_is_the_hosts_again(shell, show):
    fresh = settled(shell, lambda free: free > 1860 * MIB)  # all that Linux does not use
    with Guest(shell, "linux") as guest:
        guest.ok("dd if=/dev/urandom of=/dev/shm/big bs=1M count=256 2>/dev/null", 300)
        digest = guest.ok("sha256sum /dev/shm/big", 300)
    used = shell.run("mem --json").json["free"]
    with Guest(shell, "linux") as guest:
        assert guest.ok("sha256sum /dev/shm/big", 300) == digest
        # It reports blocks of 2 MiB that are free as a whole: the few pages that lie scattered
        # over those of the file (the file's own index, for one) move together first.
        guest.ok("rm /dev/shm/big && echo 1 > /proc/sys/vm/compact_memory", 120)
    freed = settled(shell, lambda free: free - used >= 230 * MIB)
    show(f"host free: {fresh // MIB} MiB, {used // MIB} while the guest used 256, "
         f"{freed // MIB} after it freed them: {(freed - used) // MIB} MiB back")
    assert fresh - used >= 200 * MIB
    assert freed - used >= 230 * MIB


def test_the_balloon_takes_and_gives(shell, show):
    shell.ok("vm balloon linux 256M")
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        row = shell.run("vm balloon linux --json").json[0]
        if row["balloon"] >= 500 * MIB:
            break
        time.sleep(1)
    show(str(row))
    assert row["balloon"] >= 500 * MIB and row["host_holds"] <= 300 * MIB
    assert row["guest_total"] > 0
    shell.ok("vm balloon linux 768M")
    with Guest(shell, "linux") as guest:
        guest.ok("for i in $(seq 120); do [ $(awk '/MemAvailable/ {print $2}' /proc/meminfo) -gt "
                 "600000 ] && break; sleep 1; done", 200)
        guest.ok("dd if=/dev/urandom of=/dev/shm/big bs=1M count=128 2>/dev/null", 300)
        guest.ok("sha256sum /dev/shm/big && rm /dev/shm/big", 300)
        assert not guest.problems()


def test_rebuilt_with_a_balloon(shell):
    shell.ok("vm balloon linux 512M")
    shell.ok("vm rebuild linux", 60)
    shell.ok("vm balloon linux 768M")
    with Guest(shell, "linux") as guest:
        guest.ok("dd if=/dev/urandom of=/dev/shm/big bs=1M count=200 2>/dev/null; "
                 "rm /dev/shm/big", 300)
        assert not guest.problems()
        guest.ends("poweroff")
    before = settled(shell, lambda free: free > 1900 * MIB, 60)
    assert before > 1900 * MIB - 64 * MIB
