# SPDX-License-Identifier: Apache-2.0
"""Save, destroy, restore, continue: `vm rebuild` under guests that must not notice.

Linux keeps its clock, its timers, its CPUs and its console under SVM in QEMU; test guests
that check themselves do so on all lanes. RAYOS_SOAK=1: more CPUs, more often.
"""

import os
import re
import time

import pytest

from conftest import TOP, build_image
from rayoslib.console import Console
from rayoslib.shell import PROMPT, Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
REBUILDS = 10 if SOAK else 3
VCPUS = [1, 2, 4] if SOAK else [1, 2]
GUEST_BOOT = 240  # seconds on a busy host
MACHINES = [("svm", 4), ("vmx", 2), ("svm-bochs", 1)]
TIMEOUT = {"svm": 60, "vmx": 300, "svm-bochs": 300}
# Prints nothing unless a clock went backwards or a second took more than ten.
WATCH = ("(p=0; while read t x < /proc/uptime; do t=${t%.*}${t#*.}; "
         "[ $t -lt $p ] && echo BACKWARDS $p $t; "
         "[ $p -gt 0 ] && [ $((t-p)) -gt 1000 ] && echo JUMP $p $t; p=$t; done) &")
SUM = "dd if=/dev/zero bs=64k count=200 2>/dev/null | cat | cat | md5sum"
SUM_IS = "2cf89b9489b2985f59087db9a9817bd9"


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    """The QEMU machine, with test guests and Linux."""
    return Shell(boot("state-svm", iso=image(tmp_path_factory), cpus=4, memory=1024)).wait_ready()


def image(tmp_path_factory):
    linux = [TOP / "build/deps/linux/vmlinuz", TOP / "build/guest/initrd.img"]
    return build_image(tmp_path_factory.mktemp("state"), ["memory"], files=linux)


def start(shell, name, timeout=60):
    shell.machine.send_line(f"vm start {name}")
    shell.machine.expect(f"RAYOS_VM:STARTED name={name}", timeout)
    shell.machine.expect(PROMPT, timeout)


def kill(shell, name):
    shell.machine.send_line(f"vm kill {name}")
    shell.machine.expect(f"RAYOS_VM:KILLED name={name}", 60)
    shell.machine.expect(PROMPT, 60)


def rebuild(shell, name, timeout=60):
    said = shell.ok(f"vm rebuild {name}", timeout)
    assert re.match(rf"'{name}': \d+ records, \d+ bytes; the guest stood for \d+ us", said), said
    return said


def ticks(guest):
    """Timer interrupts of each CPU."""
    return [int(n) for n in guest.run("grep LOC: /proc/interrupts").split() if n.isdigit()]


@pytest.mark.parametrize("vcpus", VCPUS)
def test_linux_goes_on(shell, show, vcpus):
    unused = shell.memory()
    shell.ok(f"vm define demo kernel=vmlinuz initrd=initrd.img memory=256M vcpus={vcpus} "
             "'cmdline=console=ttyS0 quiet'")
    start(shell, "demo")
    with Console(shell, "demo", booting=True) as guest:
        guest.ready(GUEST_BOOT)
        guest.run(WATCH)
    held = shell.memory()
    for n in range(REBUILDS):
        with Console(shell, "demo") as guest:
            before = ticks(guest)
            # Half-way through something that needs every CPU, timer and wake-up.
            guest.machine.send_line(f"{SUM}; sleep 1; echo round {n} $((1+1))")
        said = rebuild(shell, "demo")
        with Console(shell, "demo", booting=True) as guest:
            guest.expect(f"round {n} 2", GUEST_BOOT)
            guest.ready(60)
            after = ticks(guest)
        assert len(after) == vcpus and all(b > a for a, b in zip(before, after)), (before, after)
    show(said)
    assert shell.memory() == held
    with Console(shell, "demo") as guest:
        assert guest.run("nproc") == str(vcpus)
        assert SUM_IS in guest.run(SUM)
        assert "kvm-clock" in guest.run(
            "cat /sys/devices/system/clocksource/clocksource0/available_clocksource")
        wrong = guest.run("dmesg | grep -iE 'cut here|BUG:|Oops|Call Trace|lockup|stall|unstable'")
        assert wrong == "", wrong
    text = shell.machine.text()
    assert "BACKWARDS" not in text.replace("echo BACKWARDS", "")
    assert not re.search(r"JUMP \d", text)
    kill(shell, "demo")
    shell.ok("vm undefine demo")
    assert shell.memory() == unused


def test_paused_stays_paused(shell):
    shell.ok("vm define held kernel=memory.elf memory=16M 'cmdline=id=1'")
    refused = shell.run("vm rebuild held")
    assert refused.status != 0 and "'held' is defined; it must be running or paused" in refused.text
    start(shell, "held")
    shell.ok("vm pause held")
    rebuild(shell, "held")
    rebuild(shell, "held")
    states = {r["name"]: r["state"] for r in shell.run("vm list --json").json}
    assert states["held"] == "paused"
    shell.ok("vm resume held")
    counts(shell, "held", 3, 60)
    kill(shell, "held")
    shell.ok("vm undefine held")


def counts(shell, name, want, timeout):
    """Wait until the memory guest has checked its memory @want times since the last rebuild."""
    deadline = time.monotonic() + timeout
    while True:
        seen = [int(n) for n in re.findall(r"MEMORY ok 1 (\d+)", shell.run(f"vm log {name}").text)]
        if len(seen) >= want:
            assert seen == list(range(seen[0], seen[0] + len(seen))), seen
            return seen
        assert time.monotonic() < deadline, f"only {seen}"
        time.sleep(0.5)


@pytest.mark.parametrize("backend, cpus", MACHINES)
def test_guest_counts_on(boot, show, tmp_path_factory, backend, cpus):
    target = boot(f"state-{backend}", iso=image(tmp_path_factory), backend=backend, cpus=cpus,
                  memory=512)
    shell = Shell(target).wait_ready()
    timeout = TIMEOUT[backend]
    shell.ok("vm define t kernel=memory.elf memory=16M 'cmdline=id=1'")
    start(shell, "t", timeout)
    last = counts(shell, "t", 2, timeout)[-1]
    for _ in range(REBUILDS):
        said = rebuild(shell, "t", timeout)
        seen = counts(shell, "t", 2, timeout)
        assert last < seen[0] <= last + 10, (last, seen)  # it goes on, it does not begin anew
        last = seen[-1]
    show(f"{backend}: {said}, {last} checks")
    kill(shell, "t")
    shell.ok("vm undefine t")
    target.stop()
