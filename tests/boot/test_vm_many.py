# SPDX-License-Identifier: Apache-2.0
"""Many guests at once: each checks its own memory, and one's end is nobody else's affair.

Eight guests here; RAYOS_SOAK=1 makes them 64, eight of them Linux.
"""

import os
import re
import time

import pytest

from conftest import TOP, build_image
from rayoslib.console import Console
from rayoslib.shell import PROMPT, Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
TESTERS, LINUX = (56, 8) if SOAK else (7, 1)
MACHINE = {"cpus": 4, "memory": 4096 if SOAK else 1024}
CRASH_AFTER = 20  # checks, one a second
BOOT = 1200 if SOAK else 300  # seconds until the slowest Linux is at its prompt, host busy


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    linux = [TOP / "build/deps/linux/vmlinuz", TOP / "build/guest/initrd.img"]
    image = build_image(tmp_path_factory.mktemp("many"), ["memory"], files=linux)
    return Shell(boot("many", iso=image, **MACHINE)).wait_ready()


def start(shell, name, keys):
    shell.ok(f"vm define {name} {keys}", 60)
    shell.machine.send_line(f"vm start {name}")
    shell.machine.expect(f"RAYOS_VM:STARTED name={name}", 120)
    shell.machine.expect(PROMPT, 120)


def states(shell):
    return {r["name"]: r["state"] for r in shell.run("vm list --json", 120).json}


def exits(shell):
    return {r["name"]: r["exits"] for r in shell.run("vm list --json", 120).json
            if r["state"] == "running"}


def all_rise(shell, names, timeout=300):
    """Every one of them has made progress since now."""
    before, deadline = exits(shell), time.monotonic() + timeout
    assert set(before) == set(names)
    while True:
        now = exits(shell)
        still = [name for name in names if now.get(name, 0) <= before[name]]
        if not still:
            return
        assert time.monotonic() < deadline, f"no progress: {still}"
        time.sleep(2)


def held(shell):
    memory = shell.memory()
    return {tag: memory[tag] for tag in ("vm", "vdev")}


def test_many(shell, show):
    unused = held(shell)
    testers = [f"t{n}" for n in range(1, TESTERS + 1)]
    linuxes = [f"linux{n}" for n in range(1, LINUX + 1)]
    for n, name in enumerate(testers, 1):
        extra = f" fault={CRASH_AFTER}" if name == "t2" else ""
        start(shell, name, f"kernel=memory.elf memory=16M 'cmdline=id={n}{extra}'")
    for name in linuxes:
        start(shell, name, "kernel=vmlinuz initrd=initrd.img memory=128M "
              "'cmdline=console=ttyS0 quiet'")
    for name in linuxes:
        with Console(shell, name, booting=True) as guest:
            guest.ready(BOOT)

    assert "RAYOS_VM:CRASHED name=t2" in shell.machine.text() or shell.machine.expect(
        "RAYOS_VM:CRASHED name=t2", BOOT)
    shell.machine.settle()
    shell.machine.send_line("")
    shell.machine.expect(PROMPT, 30)
    reason = shell.run("vm info t2 --json").json["reason"]
    assert reason.startswith("triple-fault"), reason
    left = [name for name in testers + linuxes if name != "t2"]
    all_rise(shell, left)

    shell.machine.send_line("vm kill t1")
    shell.machine.expect("RAYOS_VM:KILLED name=t1", 60)
    shell.machine.expect(PROMPT, 60)
    left.remove("t1")
    all_rise(shell, left)
    for name in left:
        if name in testers:
            said = shell.run(f"vm log {name}", 60).text
            assert re.search(rf"MEMORY ok {name[1:]} \d+", said), said
            assert "MEMORY BAD" not in said
    show(f"{len(testers) + len(linuxes)} guests; t2 crashed ({reason}), t1 was killed, "
         f"{len(left)} go on")

    for name in left:
        shell.machine.send_line(f"vm kill {name}")
        shell.machine.expect(f"RAYOS_VM:KILLED name={name}", 60)
        shell.machine.expect(PROMPT, 60)
    for name in testers + linuxes:
        shell.ok(f"vm undefine {name}", 60)
    assert held(shell) == unused
