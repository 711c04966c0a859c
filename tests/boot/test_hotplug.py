# SPDX-License-Identifier: Apache-2.0
"""Devices that come and go under a running Linux: it notices by ACPI, uses them, lets go of
them when asked, bears that they are pulled; nothing is lost by it. RAYOS_SOAK=1: 1,000 times,
else 24."""

import os
import re
import time

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
TIMES = 1000 if SOAK else 24
FIO_TIMEOUT = 1800
DISK_SLACK = 8 << 20  # bytes
RNG = "0x1044"
# What comes and goes under load, by turns: its name and how it is asked for.
PLUGGED = (("rng0", "rng"), ("disk2", "disk ram=16M,serial=plug"), ("net0", "net"))
# Each uses what is there until /tmp/stop is; only fio may not fail.
JOBS = {
    "fio": "while [ ! -e /tmp/stop ]; do fio --name=v --directory=/mnt --size=8M --rw=randwrite "
           "--bs=4k-64k --direct=1 --ioengine=io_uring --iodepth=16 --verify=crc32c >/tmp/fio 2>&1 "
           "&& grep -q 'err= 0' /tmp/fio || { cat /tmp/fio; exit 1; }; n=$((n+1)); done; echo $n",
    "use": "while [ ! -e /tmp/stop ]; do dd if=/dev/hwrng bs=16 count=1; "
           "dd if=$(disk plug) bs=64k count=4 | md5sum; ip link set eth0 up; n=$((n+1)); "
           "done >/dev/null 2>&1; echo $n",
}
CONF = images.conf("linux", 2, "disk = ram=32M,serial=data")


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("hotplug"), ["misbehave"], CONF,
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    shell = Shell(boot("hotplug", iso=iso, cpus=SMP, memory=2048)).wait_ready()
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
    assert "RAYOS_DEVICE:ATTACHED vm=linux device=rng0 slot=3" in shell.ok("vm attach linux rng")
    wait_state(shell, "rng0", "ready")
    assert "RAYOS_DEVICE:READY vm=linux device=rng0" in shell.machine.text()
    with Guest(shell, "linux") as guest:
        guest.ok("dd if=/dev/hwrng bs=64 count=1 of=/dev/null 2>/dev/null")
        assert not guest.problems()
    assert rows(shell, "device stats")["rng0"]["ops"] > 0


def test_a_guest_lets_go_of_what_it_is_asked_for(shell):
    out = shell.ok("vm detach linux rng0", 60)
    assert "RAYOS_DEVICE:DETACHED vm=linux device=rng0" in out
    assert not in_guest(shell) and "rng0" not in status(shell)


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


def load(guest):
    """A file system all of whose memory is there, so that fio takes none, and the jobs on it."""
    data = guest.ok("disk data")
    guest.ok(f"dd if=/dev/zero of={data} bs=1M count=32 oflag=direct && "
             f"mkfs.ext4 -q -E nodiscard {data} && mkdir -p /mnt && mount {data} /mnt", 300)
    return {name: guest.spawn(f"n=0; {line}") for name, line in JOBS.items()}


def turn_of(shell, turn):
    """One device given and taken. Only rng0 is pulled: Linux waits forever for a read that a
    disk took with it."""
    device, wanted = PLUGGED[turn % len(PLUGGED)]
    since = len(shell.machine.log)
    shell.ok(f"vm attach linux {wanted}", 60)
    if device == "rng0" and turn % 4 == 3:
        shell.ok("vm detach linux rng0 --force", 60)
        return
    # Nothing is typed meanwhile: the marker would cut its echo.
    until = time.time() + 300
    while f"RAYOS_DEVICE:READY vm=linux device={device}" not in shell.machine.text(since):
        assert time.time() < until, f"{device} did not become ready"
        time.sleep(0.1)
    shell.ok(f"vm detach linux {device}", 300)


def test_many_times_under_load(shell, show):
    with Guest(shell, "linux") as guest:
        jobs = load(guest)
    for turn in range(TIMES):
        turn_of(shell, turn)
        if turn == len(PLUGGED) - 1:  # what is allocated once stays
            before = shell.memory()
    after = shell.memory()
    with Guest(shell, "linux") as guest:
        guest.ok("touch /tmp/stop")
        done = {name: guest.join(job, FIO_TIMEOUT) for name, job in jobs.items()}
        guest.ok("umount /mnt && e2fsck -fn $(disk data)", 300)
        # A read of the disk that goes away may fail, and is no problem.
        assert not [line for line in guest.problems().splitlines() if "dev vdc" not in line]
    assert done["fio"].status == 0, done["fio"].text
    show(f"{TIMES} times; the guest meanwhile: "
         + ", ".join(f"{name} {said.text.strip()} times" for name, said in done.items()))
    show(f"memory {before} {after}")
    # What fio's disk holds of the host changes as fio goes on; all else must not.
    assert abs(after.pop("pages") - before.pop("pages")) < DISK_SLACK
    del after["block"], before["block"]
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
