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
RISE = 300  # seconds in which everybody must have counted on

# What a guest has counted, as its own output says.
TESTER_COUNT = re.compile(r"MEMORY ok (\d+) (\d+)\n")
LINUX_COUNT = re.compile(r"^COUNT (\d+)\n", re.M)
LINUX_COUNTER = "(n=0; while sleep 1; do n=$((n+1)); echo COUNT $n; done) &"


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    linux = [TOP / "build/deps/linux/vmlinuz", TOP / "build/guest/initrd.img"]
    image = build_image(tmp_path_factory.mktemp("many"), ["memory"], files=linux)
    return Shell(boot("many", iso=image, **MACHINE)).wait_ready()


def start(shell, started, name, keys):
    started[name] = time.monotonic()
    shell.ok(f"vm define {name} {keys}", 60)
    shell.machine.send_line(f"vm start {name}")
    shell.machine.expect(f"RAYOS_VM:STARTED name={name}", 120)
    shell.machine.expect(PROMPT, 120)


def states(shell):
    return {r["name"]: r["state"] for r in shell.run("vm list --json", 120).json}


def running(shell):
    return {name for name, state in states(shell).items() if state == "running"}


def counter(shell, name):
    said = shell.run(f"vm log {name}", 60).text.replace("\r", "") + "\n"
    if name.startswith("linux"):
        counts = [int(n) for n in LINUX_COUNT.findall(said)]
    else:
        assert "MEMORY BAD" not in said, said
        counts = []
        for who, n in TESTER_COUNT.findall(said):
            assert who == name[1:], said
            counts.append(int(n))
    return counts[-1] if counts else 0


def all_rise(shell, names):
    """Every one of them, and nobody else, runs and counts on; returns the last counts."""
    assert running(shell) == set(names)
    before = {name: counter(shell, name) for name in names}
    after, deadline = {}, time.monotonic() + RISE
    while len(after) < len(names):
        for name in set(names) - set(after):
            now = counter(shell, name)
            if now > before[name]:
                after[name] = now
        still = sorted(set(names) - set(after))
        assert not still or time.monotonic() < deadline, f"no progress: {still}"
    assert running(shell) == set(names)
    return after


def none_is_early(counts, started):
    """No guest's second is shorter than one, however late it may get its turns."""
    for name, count in counts.items():
        passed = time.monotonic() - started[name]
        assert count <= passed * 1.1 + 2, f"{name} counted {count} in {passed:.0f} s"


def end(shell, name):
    shell.machine.send_line(f"vm kill {name}")
    shell.machine.expect(f"RAYOS_VM:KILLED name={name}", 60)
    shell.machine.expect(PROMPT, 60)


def test_many(shell, show):
    unused = shell.memory()
    testers = [f"t{n}" for n in range(1, TESTERS + 1)]
    linuxes = [f"linux{n}" for n in range(1, LINUX + 1)]
    everybody = testers + linuxes
    started = {}
    for n, name in enumerate(testers, 1):
        extra = f" fault={CRASH_AFTER}" if name == "t2" else ""
        start(shell, started, name, f"kernel=memory.elf memory=16M 'cmdline=id={n}{extra}'")
    for name in linuxes:
        start(shell, started, name, "kernel=vmlinuz initrd=initrd.img memory=128M "
              "'cmdline=console=ttyS0 quiet'")
    for name in linuxes:
        with Console(shell, name, booting=True) as guest:
            guest.ready(BOOT)
            guest.run(LINUX_COUNTER)

    if "RAYOS_VM:CRASHED name=t2" not in shell.machine.text():
        shell.machine.expect("RAYOS_VM:CRASHED name=t2", BOOT)
    shell.machine.settle()
    shell.machine.send_line("")
    shell.machine.expect(PROMPT, 30)
    reason = shell.run("vm info t2 --json").json["reason"]
    assert reason.startswith("triple-fault"), reason
    left = [name for name in everybody if name != "t2"]
    all_rise(shell, left)

    end(shell, "t1")
    left.remove("t1")
    counts = all_rise(shell, left)
    none_is_early(counts, started)
    show(f"{len(everybody)} guests; t2 crashed ({reason}), t1 was killed, {len(left)} count on, "
         f"the slowest is at {min(counts.values())}, the fastest at {max(counts.values())}")

    for name in left:
        end(shell, name)
    for name in everybody:
        shell.ok(f"vm undefine {name}", 60)
    assert shell.memory() == unused
