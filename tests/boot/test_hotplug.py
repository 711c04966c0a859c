# SPDX-License-Identifier: Apache-2.0
"""Devices that come and go under a running Linux: it notices by ACPI, uses them, lets go of
them when asked, bears that they are pulled; nothing is lost by it. RAYOS_SOAK=1: 1,000 times."""

import os
import re
import time

import pytest

from conftest import build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
TIMES = 1000 if SOAK else 20
RNG = "0x1044"
CONF = """
[vm linux]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=ttyS0 quiet
memory = 256M
vcpus = 2
"""


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("hotplug"), ["misbehave"], CONF,
                      [images.CLOUD_KERNEL, images.INITRD])
    shell = Shell(boot("hotplug", iso=iso, cpus=2, memory=2048)).wait_ready()
    start(shell, "linux")
    with Guest(shell, "linux", booting=True) as guest:
        guest.ready()
    return shell


def rows(shell, command):
    """A listing of the VM by device."""
    return {row["device"]: row for row in shell.listing(f"{command} linux")}


def status(shell):
    return rows(shell, "device status")


def wait_state(shell, device, state, seconds=60):
    until = time.time() + seconds
    while time.time() < until:
        if status(shell).get(device, {}).get("state") == state:
            return
        time.sleep(0.2)
    raise AssertionError(f"{device} did not become {state}: {status(shell)}")


def in_guest(shell, device=RNG):
    with Guest(shell, "linux") as guest:
        return device in guest.run("cat /sys/bus/pci/devices/*/device").text


def test_a_guest_finds_what_it_is_given(shell):
    assert not in_guest(shell)
    assert "RAYOS_DEVICE:ATTACHED vm=linux device=rng0 slot=1" in shell.ok("vm attach linux rng")
    wait_state(shell, "rng0", "ready")
    assert "RAYOS_DEVICE:READY vm=linux device=rng0" in shell.machine.text()
    with Guest(shell, "linux") as guest:
        guest.ok("dd if=/dev/hwrng bs=64 count=1 of=/dev/null 2>/dev/null")
        assert not guest.problems()
    assert rows(shell, "device stats")["rng0"]["ops"] > 0


def test_a_guest_lets_go_of_what_it_is_asked_for(shell):
    out = shell.ok("vm detach linux rng0", 60)
    assert "RAYOS_DEVICE:DETACHED vm=linux device=rng0" in out
    assert not in_guest(shell) and not status(shell)


def test_a_guest_bears_that_a_device_is_pulled(shell):
    shell.ok("vm attach linux rng")
    wait_state(shell, "rng0", "ready")
    assert "DETACHED" in shell.ok("vm detach linux rng0 --force")
    until = time.time() + 60
    while in_guest(shell) and time.time() < until:
        time.sleep(0.2)
    assert not in_guest(shell)


def test_a_device_given_while_the_guest_is_paused(shell):
    shell.ok("vm pause linux")
    shell.ok("vm attach linux rng")
    result = shell.run("vm detach linux rng0")
    assert result.status and "paused" in result.text and "--force" in result.text
    shell.ok("vm resume linux")
    wait_state(shell, "rng0", "ready")
    shell.ok("vm rebuild linux", 60)
    wait_state(shell, "rng0", "ready")
    shell.ok("vm detach linux rng0", 60)


def test_many_times_under_load(shell, show):
    with Guest(shell, "linux") as guest:
        job = guest.spawn("n=0; while [ ! -e /tmp/stop ]; do "
                          "dd if=/dev/hwrng bs=16 count=1 >/dev/null 2>&1; n=$((n+1)); "
                          "md5sum /bin/busybox >/dev/null; done; echo $n")
    before = None
    for turn in range(TIMES):
        shell.ok("vm attach linux rng")
        if turn % 4 == 3:
            shell.ok("vm detach linux rng0 --force")
        else:
            wait_state(shell, "rng0", "ready")
            shell.ok("vm detach linux rng0", 120)
        if turn == 0:  # what is allocated once stays
            before = shell.memory()
    after = shell.memory()
    with Guest(shell, "linux") as guest:
        guest.ok("touch /tmp/stop")
        count = guest.join(job, 120)
        assert not guest.problems()
    show(f"{TIMES} times; the guest's loop ran {count.text.strip()} times; memory {before} {after}")
    assert after == before


def test_a_reset_takes_what_the_guest_was_asked_for(shell):
    shell.ok("vm define deaf kernel=misbehave.elf cmdline=spin memory=32M rng=")
    shell.ok("vm start deaf")
    result = shell.run("vm detach deaf rng0")
    assert result.status and "ACPI" in result.text and "--force" in result.text
    assert re.search(r"rng0\s", shell.ok("device list deaf"))
    shell.ok("vm detach deaf rng0 --force")
    shell.ok("vm reset deaf", 60)
    assert "rng0" not in shell.ok("device list deaf")
    shell.ok("vm kill deaf")
    shell.ok("vm undefine deaf")
