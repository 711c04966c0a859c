# SPDX-License-Identifier: Apache-2.0
"""Rates of devices hold within 5 % of guest time, and nothing else slows them down: under
-icount, where a nanosecond is an instruction, so that the host's load is none of the numbers.

Guest `a` has a disk and a network card for each rate, `b` answers. RAYOS_SOAK=1 measures longer.
"""

import os

import pytest

from conftest import build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
pytestmark = pytest.mark.skipif(not SOAK, reason="minutes of emulated time: full size only (make soak)")
SECONDS = 20 if SOAK else 4
FREE_SECONDS = 4 if SOAK else 1
WITHIN = 0.05
BOOT = 1800
MBIT = 125_000  # bytes a second
CONF = """
[vm a]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=ttyS0 quiet ip4=10.0.0.1/24,10.0.1.1/24,10.0.2.1/24
memory = 256M
disk = module=tools.img,ro,serial=tools
disk = ram=64M,serial=free
disk = ram=64M,serial=slow,iops=1000
net-rate = unlimited
net =
net =
net = rate=10M
[vm b]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=ttyS0 quiet ip4=10.0.0.2/24,10.0.1.2/24,10.0.2.2/24
memory = 256M
net-rate = unlimited
disk = module=tools.img,ro,serial=tools
net = rate=unlimited
net = rate=unlimited
net = rate=unlimited
"""
# What a counter gains in a second, by the guest's own clock, once what may come at once is over.
RATE = ("rate() { n() { awk '{ print $1 }' $1; }; sleep 1; a=$(n $1); t=$(date +%s%N); sleep $2; "
        "b=$(n $1); u=$(date +%s%N); echo $(((b-a)*1000000000/(u-t))); }")


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("quotas"), [], CONF,
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    shell = Shell(boot("quotas", iso=iso, cpus=1, memory=1536, icount=True)).wait_ready()
    for name in "ab":
        start(shell, name, 300)
        with Guest(shell, name, booting=True) as guest:
            guest.ready(BOOT)
            guest.ok(RATE, 300)
    return shell


def reads(shell, serial, seconds):
    """Reads a second that a disk gives to 16 at a time."""
    with Guest(shell, "a") as guest:
        disk = guest.ok(f"disk {serial}", 300)
        job = guest.spawn(f"fio --name=q --filename={disk} --rw=randread --bs=4k --direct=1 "
                          f"--ioengine=io_uring --iodepth=16 --time_based --runtime={seconds + 3}")
        rate = int(guest.ok(f"rate /sys/block/{disk[5:]}/stat {seconds}", 3600))
        done = guest.join(job, 3600)
        assert done.status == 0 and "err= 0" in done.text, done.text
    return rate


def sent(shell, number, seconds):
    """Bytes a second that reach guest b through card @number of a's."""
    with Guest(shell, "b") as guest:
        server = guest.spawn("iperf3 -s -1")
    with Guest(shell, "a") as guest:
        job = guest.spawn(f"iperf3 -c 10.0.{number}.2 -t {seconds + 3}")
        rate = int(guest.ok(f"rate /sys/class/net/eth{number}/statistics/tx_bytes {seconds}", 3600))
        done = guest.join(job, 3600)
        assert done.status == 0, done.text
    with Guest(shell, "b") as guest:
        assert guest.join(server, 3600).status == 0
    return rate


def holds(rate, quota):
    return abs(rate - quota) <= quota * WITHIN


def test_operations_of_a_disk(shell, show):
    free, slow = reads(shell, "free", FREE_SECONDS), reads(shell, "slow", SECONDS)
    show(f"reads a second: {free} unlimited, {slow} of 1000")
    assert holds(slow, 1000) and free >= 2 * 1000
    assert "QUOTA_EXCEEDED vm=a device=disk2 what=ops" in shell.machine.text()
    # While it runs, and back.
    shell.ok("device limit a disk2 ops=500", 120)
    half = reads(shell, "slow", SECONDS)
    show(f"{half} of 500")
    assert holds(half, 500)


def test_bytes_of_a_network_card(shell, show):
    free = sent(shell, 0, FREE_SECONDS)
    shell.ok("device limit a net rate=100M", 120)  # of all cards together
    rates = {100: sent(shell, 1, SECONDS), 10: sent(shell, 2, SECONDS)}
    show(f"Mbit/s: {free / MBIT:.1f} unlimited, "
         + ", ".join(f"{rate / MBIT:.2f} of {quota}" for quota, rate in rates.items()))
    for quota, rate in rates.items():
        assert holds(rate, quota * MBIT), quota
    assert free >= 2 * 100 * MBIT
    for device in ("net1", "net2"):
        assert f"QUOTA_EXCEEDED vm=a device={device} what=bytes" in shell.machine.text()
