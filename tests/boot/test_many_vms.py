# SPDX-License-Identifier: Apache-2.0
"""64 VMs at once on 4 CPUs: all work, two go, the others go on, all memory comes back."""

import re
import time

import pytest

from conftest import TOP, build_image
from rayoslib.shell import CONSOLE_LEAVE, PROMPT, Shell

pytestmark = pytest.mark.soak

BANNER = "RayOS demo guest:"
CHECKERS, LINUXES = 56, 8
CHECKER = "[vm c{n}]\nkernel = memory.elf\ncmdline = id={n}{more}\nmemory = 16M\n"
LINUX = ("[vm l{n}]\nkernel = vmlinuz\ninitrd = initrd.img\ncmdline = console=ttyS0 quiet\n"
         "memory = 160M\n")
CRASHES = 1  # this checker crashes on purpose after some checks
CRASH_AFTER = 60
TIMEOUT = 1800


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    conf = "".join(CHECKER.format(n=n, more=f" fault={CRASH_AFTER}" if n == CRASHES else "")
                   for n in range(CHECKERS))
    conf += "".join(LINUX.format(n=n) for n in range(LINUXES))
    image = build_image(tmp_path_factory.mktemp("many"), ["memory"], conf,
                        [TOP / "build/deps/linux/vmlinuz", TOP / "build/guest/initrd.img"])
    return Shell(boot("many-vms", iso=image, cpus=4, memory=4096)).wait_ready()


def wait_in_console(shell, name, marker):
    shell.machine.send_line(f"vm console {name} --from-start")
    shell.machine.expect(marker, TIMEOUT)
    shell.machine.send(CONSOLE_LEAVE)
    shell.machine.expect(PROMPT, 60)


def exits(shell):
    return {row["name"]: (row["state"], row["exits"])
            for row in shell.run("vm list --json", 120).json}


def test_64_vms(shell):
    names = [f"c{n}" for n in range(CHECKERS)] + [f"l{n}" for n in range(LINUXES)]
    before = shell.memory()
    for name in names:
        shell.ok(f"vm start {name}", 300)
    for n in range(LINUXES):
        wait_in_console(shell, f"l{n}", BANNER)
    for n in range(CHECKERS):
        if n != CRASHES:
            wait_in_console(shell, f"c{n}", re.compile(rf"MEMORY ok {n} \d+"))
    shell.machine.send_line("vm kill c0")
    shell.machine.expect("RAYOS_VM:KILLED name=c0", 60)
    deadline = time.monotonic() + TIMEOUT
    while exits(shell)[f"c{CRASHES}"][0] == "running":
        assert time.monotonic() < deadline, "the crash did not come"
        time.sleep(5)
    assert f"RAYOS_VM:CRASHED name=c{CRASHES}" in shell.machine.text()
    first = exits(shell)
    time.sleep(60)
    second = exits(shell)
    for name in names:
        if name in ("c0", f"c{CRASHES}"):
            assert second[name][0] != "running"
        else:
            assert second[name][0] == "running" and second[name][1] > first[name][1], name
    for name in names:
        shell.run(f"vm kill {name}", 120)
    assert shell.memory() == before
