# SPDX-License-Identifier: Apache-2.0
"""A guest that breaks every rule of virtio on every kind of device, beside a Linux that writes
and verifies its disk: the hostile one's devices break and work again after a reset, nobody
else notices. RAYOS_SOAK=1: ten times, all rounds of it, beside fio on 64 MiB."""

import os
import re

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import CONSOLE_LEAVE, PROMPT, Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
REPEAT, PART, FIO_MIB = (10, 1, 64) if SOAK else (1, 8, 8)
DEVICES = "disk=ram=16M rng= console= balloon= input= gpu= vsock= net="
KINDS = {"disk", "rng", "console", "balloon", "input", "gpu", "vsock", "net"}
CONF = f"""
[vm victim]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=ttyS0 quiet
memory = 256M
vcpus = 2
rng =
disk = module=tools.img,ro,serial=tools
disk = ram={2 * FIO_MIB}M,serial=data
"""
FIO = (f"fio --eta=never --name=v --filename=$(disk data) --size={FIO_MIB}M --rw=randwrite --bs=4k "
       "--direct=1 --verify=crc32c --ioengine=io_uring --iodepth=8")


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("hostile"), ["hostile"], CONF,
                      [images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    shell = Shell(boot("hostile", iso=iso, cpus=SMP, memory=2048)).wait_ready()
    start(shell, "victim")
    with Guest(shell, "victim", booting=True) as guest:
        guest.ready()
        guest.ok("fio --version")
    return shell


def attack(shell, timeout):
    """Run the hostile guest to its end; what it said."""
    machine = shell.machine
    shell.ok("vm start hostile", 60)
    begin = machine.mark
    machine.send_line("vm console hostile --from-start")
    machine.expect(re.compile(r"(?:GUEST:(?:DONE|FAULT)|RAYOS_VM:CRASHED) [^\r\n]+(?=[\r\n])"),
                   timeout)
    said = machine.text(begin)
    if "RAYOS_VM:CRASHED" in said:
        machine.expect(PROMPT, 30)
        pytest.fail(said[-800:] + shell.ok("log show --tag=vcpu"))
    machine.send(CONSOLE_LEAVE)
    machine.expect(PROMPT, 30)
    return said


def test_nobody_else_notices(shell, show):
    shell.ok("vm define hostile kernel=hostile.elf memory=64M vcpus=2 testdev=yes "
             f"'cmdline=repeat={REPEAT} part={PART} linger' {DEVICES}")
    before = shell.memory()
    with Guest(shell, "victim") as guest:
        job = guest.spawn(f"while [ ! -e /tmp/stop ]; do {FIO} || exit 1; done; echo verified")
    said = attack(shell, 3600 if SOAK else 1200)
    failed = re.findall(r"(?:FAIL|GUEST:FAULT|HOSTILE \S+ (?:.* ended as|is of no use)).*", said)
    stats = {row["device"]: row for row in shell.listing("device stats hostile")}
    state = {row["device"]: row["state"] for row in shell.listing("device status hostile")}
    shell.ok("vm kill hostile", 60)
    show("\n".join(f"{name}: malformed={row['malformed']} ops={row['ops']} errors={row['errors']} "
                   f"notifies={row['notifies']} {state[name]}" for name, row in stats.items()))
    assert not failed and re.search(r"GUEST:DONE passed=\d+ failed=0", said)
    assert {name.rstrip("0123456789") for name in stats} == KINDS
    assert all(row["malformed"] >= 20 for row in stats.values())
    for name in stats:
        assert f"RAYOS_DEVICE:NEEDS_RESET vm=hostile device={name}" in shell.machine.text()
    with Guest(shell, "victim") as guest:
        guest.ok("touch /tmp/stop")
        end = guest.join(job, 1200)
        assert end.status == 0 and "verified" in end.text
        assert set(re.findall(r"err= *(\d+)", end.text)) == {"0"}
        guest.ok("dd if=/dev/hwrng bs=64 count=1 of=/dev/null 2>/dev/null")
        assert not guest.problems()
    assert all(row["state"] == "ready" for row in shell.listing("device status victim"))
    assert shell.memory()["pages"] >= before["pages"] - (2 * FIO_MIB << 20)


def test_what_a_guest_can_print_is_bounded(shell):
    """Thousands of resets and broken rules: a guest does not fill the serial line with them."""
    told = re.findall(r"RAYOS_DEVICE:((?:READY|NEEDS_RESET) vm=hostile device=\S+)",
                      shell.machine.text())
    seconds = 60 * (60 if SOAK else 20)
    assert told and all(told.count(marker) < 32 + seconds for marker in set(told))
    shell.ok("vm undefine hostile")
