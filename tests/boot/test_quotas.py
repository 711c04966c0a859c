# SPDX-License-Identifier: Apache-2.0
"""Rates of devices hold within 5 % of guest time, and nothing else slows them down: under
-icount, where a nanosecond is an instruction, so that the host's load is none of the numbers.

Guest `a` has a disk and a network card for each rate, `b` answers. What is unlimited costs a
thousand million instructions a second, so it runs for one; what waits for its quota costs
next to nothing. Some ten minutes in all: full size (RAYOS_SOAK=1) only.
"""

import os
import re

import pytest

from conftest import build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
pytestmark = pytest.mark.skipif(not SOAK, reason="minutes of emulated time: full size only (make soak)")
# Of guest time: how long a load runs; it is measured from when on, for how long. What may come at
# once, a tenth of a second's worth, is over by then.
LIMITED = (5, 1, 3)
FREE = (1, 0.5, 0.3)
WITHIN = 0.05
BOOT = 1800
LOAD_TIMEOUT = 3600
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
RATE = ("now() { awk '/^now at/ { print $3 }' /proc/timer_list; }; n() { awk '{ print $1 }' $1; }; "
        "rate() { sleep $3; a=$(n $1); t=$(now); sleep $2; b=$(n $1); u=$(now); "
        "echo $(((b-a)*1000000000/(u-t))); }")


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


def measured(guest, load, counter, times):
    """What a counter gains in a second while @load runs. Both on one line: guest time runs ahead
    whenever all wait, and would not wait for a second one to be typed."""
    _, begin, seconds = times
    said = guest.ok(f"{load} >/tmp/load 2>&1 & rate {counter} {seconds} {begin}; "
                    "wait $! || { cat /tmp/load; false; }", LOAD_TIMEOUT)
    return int(re.search(r"^\d+$", said, re.M).group())


def reads(shell, serial, times):
    """Reads a second that a disk gives to 16 at a time."""
    with Guest(shell, "a") as guest:
        disk = guest.ok(f"disk {serial}", 300)
        rate = measured(guest, f"fio --name=q --filename={disk} --rw=randread --bs=4k --direct=1 "
                        f"--ioengine=io_uring --iodepth=16 --time_based --runtime={times[0]}",
                        f"/sys/block/{disk[5:]}/stat", times)
        assert "err= 0" in guest.ok("cat /tmp/load", 300)
    return rate


def sent(shell, number, times):
    """Bytes a second that reach guest b through card @number of a's."""
    with Guest(shell, "b") as guest:
        server = guest.iperf_server()
    with Guest(shell, "a") as guest:
        rate = measured(guest, f"iperf3 -c 10.0.{number}.2 -t {times[0]}",
                        f"/sys/class/net/eth{number}/statistics/tx_bytes", times)
    with Guest(shell, "b") as guest:
        assert guest.join(server, LOAD_TIMEOUT).status == 0
    return rate


def holds(rate, quota):
    return abs(rate - quota) <= quota * WITHIN


def test_operations_of_a_disk(shell, show):
    free, slow = reads(shell, "free", FREE), reads(shell, "slow", LIMITED)
    show(f"reads a second: {free} unlimited, {slow} of 1000")
    assert holds(slow, 1000) and free >= 2 * 1000
    assert "QUOTA_EXCEEDED vm=a device=disk2 what=ops" in shell.machine.text()
    # While it runs, and back.
    shell.ok("device limit a disk2 ops=500", 120)
    half = reads(shell, "slow", LIMITED)
    show(f"{half} of 500")
    assert holds(half, 500)


def test_bytes_of_a_network_card(shell, show):
    free = sent(shell, 0, FREE)
    shell.ok("device limit a net rate=100M", 120)  # of all cards together
    rates = {100: sent(shell, 1, LIMITED), 10: sent(shell, 2, LIMITED)}
    show(f"Mbit/s: {free / MBIT:.1f} unlimited, "
         + ", ".join(f"{rate / MBIT:.2f} of {quota}" for quota, rate in rates.items()))
    for quota, rate in rates.items():
        assert holds(rate, quota * MBIT), quota
    assert free >= 2 * 100 * MBIT
    for device in ("net1", "net2"):
        assert f"QUOTA_EXCEEDED vm=a device={device} what=bytes" in shell.machine.text()
