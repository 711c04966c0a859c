# SPDX-License-Identifier: Apache-2.0
"""Network cards of guests at the virtual switch: Linux at both ends.

One machine: `a` and `b` talk to each other, with two queue pairs in `b`. At full size
(RAYOS_SOAK=1) 100,000 pings are flooded instead of 2,000, and iperf3 runs for 30 s instead of 2.
"""

import os
import re

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
PINGS = 100_000 if SOAK else 2000
SECONDS = 30 if SOAK else 2
MODULES = [images.CLOUD_KERNEL, images.INITRD_TOOLS]
CONF = """
[vm a]
kernel = vmlinuz
initrd = test-tools-initrd.img
cmdline = console=ttyS0 quiet ip4=10.0.0.1/24
memory = 256M
net-rate = unlimited
net = switch0
[vm b]
kernel = vmlinuz
initrd = test-tools-initrd.img
cmdline = console=ttyS0 quiet ip4=10.0.0.2/24
memory = 256M
vcpus = 2
net-rate = unlimited
net = mac=52:54:00:00:00:0b
"""


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("net"), [], CONF, MODULES)
    shell = Shell(boot("test_virtio_net", iso=iso, cpus=SMP, memory=2048)).wait_ready()
    for name in ("a", "b"):
        start(shell, name)
        with Guest(shell, name, booting=True) as guest:
            guest.ready()
    return shell


def port(shell, name):
    return next(row for row in shell.run("net ports --json").json if row["port"] == name)


def test_devices(shell, show):
    show(shell.run("net ports").text)
    with Guest(shell, "b") as guest:
        assert guest.ok("cat /sys/class/net/eth0/address") == "52:54:00:00:00:0b"
        assert len(guest.ok("ls -d /sys/class/net/eth0/queues/rx-*").split()) == 2
        show(guest.ok("lspci -nn | grep -i ethernet"))
    with Guest(shell, "a") as guest:
        mac = guest.ok("cat /sys/class/net/eth0/address")
    assert port(shell, "a/net0")["mac"] == mac and mac.startswith("52:")


def test_ping(shell, show):
    before = port(shell, "a/net0")
    with Guest(shell, "a") as guest:
        show(guest.ok("ping -c 3 10.0.0.2").splitlines()[-2])
        said = guest.ok(f"ping -q -f -c {PINGS} 10.0.0.2", 120 + PINGS // 20)
        show(said)
        assert f"{PINGS} packets transmitted, {PINGS} received, 0% packet loss" in said
        said = guest.ok("ping -q -c 3 -s 8000 10.0.0.2", 120)  # fragments
        assert " 0% packet loss" in said, said
    after = port(shell, "a/net0")
    assert after["tx_frames"] >= before["tx_frames"] + PINGS
    assert after["no_buffer"] == before["no_buffer"]


def test_iperf(shell, show):
    with Guest(shell, "b") as guest:
        job = guest.iperf_server()
    before = port(shell, "a/net0")
    with Guest(shell, "a") as guest:
        said = guest.ok(f"iperf3 -c 10.0.0.2 -t {SECONDS} --connect-timeout 20000", 600)
        show("\n".join(said.splitlines()[-4:]))
    with Guest(shell, "b") as guest:
        assert guest.join(job).status == 0
    show(shell.run("net ports").text)
    row = port(shell, "a/net0")
    frames, sent = (row[key] - before[key] for key in ("tx_frames", "tx_bytes"))
    assert sent / frames > 2000, "no frame is longer than a segment"
    assert row["malformed"] == row["source"] == 0


def test_link(shell):
    shell.run("net link a/net0 down")
    with Guest(shell, "a") as guest:
        assert guest.ok("cat /sys/class/net/eth0/carrier") == "0"
    shell.run("net link a/net0 up")
    with Guest(shell, "a") as guest:
        assert guest.ok("cat /sys/class/net/eth0/carrier") == "1"
        guest.ok("ping -c 1 -W 20 10.0.0.2")


def test_addresses(shell):
    """A guest keeps the address it was given."""
    with Guest(shell, "a") as guest:
        before = guest.ok("cat /sys/class/net/eth0/address")
        assert guest.run("ip link set eth0 address 52:54:00:00:00:0b").status != 0
        assert guest.ok("cat /sys/class/net/eth0/address") == before
        assert guest.problems() == ""
    assert re.search(r"52:54:00:00:00:0b +b/net0", shell.run("net macs").text)
