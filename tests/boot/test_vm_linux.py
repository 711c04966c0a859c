# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel as a guest under SVM: its console, its life, its memory, and bad input.

One machine with four CPUs. The VM `demo` is started by whoever finds it ended.
"""

import re
import time

import pytest

from rayoslib.console import Console
from rayoslib.shell import PROMPT

MACHINE = {"cpus": 4, "memory": 2048}
GUEST_BOOT = 240  # seconds on a busy host; 10 on an idle one
LINUX = 'kernel=vmlinuz initrd=initrd.img "cmdline=console=ttyS0 quiet"'


def start(shell, name):
    shell.machine.send_line(f"vm start {name}")
    shell.machine.expect(f"RAYOS_VM:STARTED name={name}", 60)
    shell.machine.expect(PROMPT, 60)


def marker(shell, text, timeout=60):
    """A marker, and a fresh prompt after it: it may have come in the middle of a line."""
    match = shell.machine.expect(re.compile(text), timeout)
    shell.machine.settle()
    shell.machine.send_line("")
    shell.machine.expect(PROMPT, 30)
    return match


def kill(shell, name):
    shell.machine.send_line(f"vm kill {name}")
    shell.machine.expect(f"RAYOS_VM:KILLED name={name} reason=operator", 60)
    shell.machine.expect(PROMPT, 30)


def row(shell, name):
    return {r["name"]: r for r in shell.run("vm list --json").json}.get(name)


def counters(shell, name):
    return {(r["vcpu"], r["counter"]): r["value"]
            for r in shell.run(f"vm stats {name} --json").json}


def checked(shell, show, name, cpus):
    """The guest's own words: banner, kernel, CPUs, clock."""
    with Console(shell, name, booting=True) as guest:
        banner = guest.ready(GUEST_BOOT)
        uname = guest.run("uname -a")
        show(re.search(r"RayOS demo guest:.*", banner).group() + "\n" + uname)
        assert f"{cpus} CPU(s)" in banner
        assert re.match(r"Linux demo 6\.1\.\S+ .*x86_64", uname), uname
        assert guest.run("grep -c ^processor /proc/cpuinfo") == str(cpus)
        # With an invariant TSC Linux itself prefers that to the clock it has from us.
        sources = "/sys/devices/system/clocksource/clocksource0/*_clocksource"
        assert "kvm-clock" in guest.run(f"cat {sources}")
        assert "kvm-clock: Using msrs" in guest.run("dmesg | grep -m1 kvm-clock")
        warnings = guest.run("dmesg | grep -E 'cut here|BUG:|Oops|Call Trace|lockup'")
        assert warnings == "", warnings


def held(shell):
    """What guests hold: structures and devices, which all end with them."""
    memory = shell.memory()
    return {tag: memory[tag] for tag in ("vm", "vdev")}


@pytest.fixture(scope="module")
def unused(shell):
    """held() while no VM runs."""
    return held(shell)


@pytest.fixture
def demo(shell, unused):
    """The shell, with Linux at its prompt in the VM `demo`."""
    if row(shell, "demo")["state"] != "running":
        start(shell, "demo")
        with Console(shell, "demo", booting=True) as guest:
            guest.ready(GUEST_BOOT)
    return shell


def test_one_cpu(shell, unused, show):
    start(shell, "demo")
    checked(shell, show, "demo", 1)


def test_stats_rise(demo):
    first = counters(demo, "demo")
    with Console(demo, "demo") as guest:
        guest.run("cat /proc/interrupts")
    second = counters(demo, "demo")
    assert second[0, "io"] > first[0, "io"]
    assert second[0, "runtime_ns"] > first[0, "runtime_ns"]
    assert all(second[key] >= value for key, value in first.items())


def uptime(guest):
    return float(guest.run("cat /proc/uptime").split()[0])


def test_clock_runs_true(demo):
    with Console(demo, "demo") as guest:
        begin, guest_begin = time.monotonic(), uptime(guest)
        guest.run("sleep 5")
        took, guest_took = time.monotonic() - begin, uptime(guest) - guest_begin
    assert guest_took >= 5
    assert abs(took - guest_took) < 1 + took / 10


def test_idle_guest_costs_little(demo):
    time.sleep(5)
    before, begin = row(demo, "demo")["exits"], time.monotonic()
    time.sleep(10)
    rate = (row(demo, "demo")["exits"] - before) / (time.monotonic() - begin)
    assert rate < 100, f"{rate:.0f} exits a second"


def test_pause_and_resume(demo):
    with Console(demo, "demo") as guest:
        before = uptime(guest)
    demo.ok("vm pause demo")
    assert row(demo, "demo")["state"] == "paused"
    first = counters(demo, "demo")
    time.sleep(5)
    assert counters(demo, "demo") == first
    refused = demo.run("vm pause demo")
    assert refused.status != 0 and "it must be running" in refused.text
    demo.ok("vm resume demo")
    with Console(demo, "demo") as guest:
        after = uptime(guest)
        assert uptime(guest) >= after >= before
    assert demo.run("vm resume demo").status != 0


def test_guest_reboots(demo):
    with Console(demo, "demo") as guest:
        guest.run("touch /root/gone")
        guest.machine.send_line("reboot")
        guest.expect("RayOS demo guest:", GUEST_BOOT)
        guest.ready(60)
        assert guest.run("ls /root") == ""
    info = demo.run("vm info demo --json").json
    assert info["state"] == "running" and info["resets"] == 1


def test_reset(demo):
    before = demo.run("vm info demo --json").json["resets"]
    demo.ok("vm reset demo")
    with Console(demo, "demo", booting=True) as guest:
        guest.ready(GUEST_BOOT)
    assert demo.run("vm info demo --json").json["resets"] == before + 1


def test_not_while_it_runs(demo):
    result = demo.run("vm undefine demo")
    assert result.status != 0 and "running" in result.text
    result = demo.run("vm start demo")
    assert result.status != 0 and "already" in result.text


def test_power_button(demo, unused):
    demo.machine.send_line("vm stop demo")
    marker(demo, "RAYOS_VM:STOPPED name=demo reason=guest_powered_off", 120)
    assert row(demo, "demo")["state"] == "stopped"
    assert demo.run("vm stop demo").status != 0
    assert held(demo) == unused


def test_guest_powers_off(demo, unused):
    with Console(demo, "demo") as guest:
        text = guest.ends("poweroff", 120)
    assert "RAYOS_VM:STOPPED name=demo reason=guest_powered_off" in text
    assert held(demo) == unused


def test_kill(demo, unused):
    kill(demo, "demo")
    assert row(demo, "demo")["state"] == "stopped"
    assert held(demo) == unused


def test_four_cpus(shell, unused, show):
    shell.ok(f"vm define four {LINUX} memory=256M vcpus=4")
    start(shell, "four")
    checked(shell, show, "four", 4)
    assert {vcpu for vcpu, _ in counters(shell, "four")} == {0, 1, 2, 3}
    kill(shell, "four")
    shell.ok("vm undefine four")
    assert row(shell, "four") is None
    assert held(shell) == unused


def test_two_guests_at_once(shell, unused):
    """They share nothing: each has its own console, and one's end is not the other's."""
    shell.ok(f"vm define other {LINUX} memory=128M")
    start(shell, "demo")
    start(shell, "other")
    for name in ("demo", "other"):
        with Console(shell, name, booting=True) as guest:
            guest.ready(GUEST_BOOT)
            guest.run(f"echo {name} >/root/who")
    kill(shell, "demo")
    with Console(shell, "other") as guest:
        assert guest.run("cat /root/who") == "other"
    kill(shell, "other")
    shell.ok("vm undefine other")
    assert held(shell) == unused


# ---- bad input: what is wrong is named, nothing is half created, nothing leaks --------------

@pytest.mark.parametrize("line, said", [
    ("vm start dmeo", "no VM 'dmeo'; did you mean 'demo'?"),
    ("vm info nothing-like-it", "`vm list` shows what there is"),
    ("vm define bad kernel=vmlinuz memroy=64M", "did you mean 'memory'?"),
    ("vm define bad kernel=vmlinuz memory=0", "memory:"),
    ("vm define bad kernel=vmlinuz memory=1", "memory:"),
    ("vm define bad kernel=vmlinuz memory=lots", "memory: 'lots' is not a size"),
    ("vm define bad kernel=vmlinuz memory=99999999999999999999G", "memory:"),
    ("vm define bad kernel=vmlinuz vcpus=0", "vcpus: '0' is not a number from 1 to 8"),
    ("vm define bad kernel=vmlinuz vcpus=1000", "vcpus: '1000' is not a number from 1 to 8"),
    ("vm define bad kernel=vmlinuz vcpus=two", "vcpus: 'two' is not a number"),
    ("vm define bad kernel=vmlinuz testdev=perhaps", "neither on nor off"),
    ("vm define bad vmlinuz", "'vmlinuz' is not key=value"),
    ("vm define bad memory=64M", "kernel"),
    ("vm define demo kernel=vmlinuz", "demo"),
    ("vm define " + "n" * 300 + " kernel=vmlinuz", "name: longer than"),
    ("vm define bad kernel=" + "k" * 300, "kernel: longer than"),
    ("vm undefine nobody", "no VM 'nobody'"),
    ("vm stop demo", "it must be running"),
    ("vm kill demo", "it must be running or paused"),
    ("vm console demo", "`vm start demo` first"),
])
def test_refused(shell, unused, line, said):
    listed = shell.run("vm list --json").json
    result = shell.run(line)
    assert result.status != 0
    assert said in result.text, result.text
    assert "RAYOS_VM:" not in result.text
    assert shell.run("vm list --json").json == listed
    assert held(shell) == unused


@pytest.mark.parametrize("keys, said", [
    ("kernel=nothere", "kernel: no module 'nothere'"),
    ("kernel=vmlinuz initrd=nothere", "initrd: no module 'nothere'"),
    ("kernel=initrd.img", "kernel"),  # neither bzImage nor ELF
    ("kernel=vmlinuz memory=16M initrd=vmlinuz", "memory"),
    ("kernel=vmlinuz memory=1T", "memory"),
])
def test_start_refused(shell, unused, keys, said):
    """Found at the start only: the definition stays, the VM does not run, nothing is kept."""
    defined = shell.run(f"vm define bad {keys}")
    if defined.status == 0:
        result = shell.run("vm start bad", 60)
        assert "RAYOS_VM:STARTED" not in result.text
        assert row(shell, "bad")["state"] == "defined"
        shell.ok("vm undefine bad")
    else:
        result = defined
    assert result.status != 0
    assert said in result.text, result.text
    assert held(shell) == unused
