# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel under SVM in QEMU: one and four vCPUs, life cycle, idle."""

import json
import re
import time

import pytest

from rayoslib.linux import Linux
from rayoslib.shell import PROMPT

MACHINE = {"cpus": 4, "memory": 2048}
TIMEOUT = 180


def vm(shell, name):
    return json.loads(shell.ok(f"vm info {name} --json"))


@pytest.fixture(scope="module")
def four(shell):
    shell.ok("vm define four kernel=vmlinuz initrd=initrd.img memory=256M vcpus=4 "
             "'cmdline=console=ttyS0 quiet'")
    return "four"


def test_one_vcpu(shell, show):
    linux = Linux(shell, "demo", TIMEOUT)
    with linux.console(start=True) as banner:
        show(banner)
        uname = linux.run("uname -a")
        show(uname)
        assert re.search(r"Linux demo 6\.1\.\S+-cloud-amd64 .*x86_64", uname)
        assert linux.run("nproc") == "1"


def test_four_vcpus(shell, four, show):
    linux = Linux(shell, four, TIMEOUT)
    with linux.console(start=True) as banner:
        show(banner)
        show(linux.run("uname -a"))
        assert linux.run("nproc") == "4"
        for cpu in range(4):
            assert linux.run(f"taskset {1 << cpu:x} sh -c 'echo on {cpu}'") == f"on {cpu}"


def uptime(linux):
    return float(linux.run("cat /proc/uptime").split()[0])


def test_clock_runs_true(shell):
    linux = Linux(shell, "demo", TIMEOUT)
    with linux.console():
        begin, guest_begin = time.monotonic(), uptime(linux)
        linux.run("sleep 5")
        took, guest_took = time.monotonic() - begin, uptime(linux) - guest_begin
        assert guest_took >= 5
        assert abs(took - guest_took) < 1 + took / 10


def test_idle_guest_costs_little(shell):
    time.sleep(5)
    before, begin = vm_exits(shell), time.monotonic()
    time.sleep(10)
    rate = (vm_exits(shell) - before) / (time.monotonic() - begin)
    assert rate < 100, f"{rate:.0f} exits a second"


def vm_exits(shell):
    for row in shell.run("vm list --json").json:
        if row["name"] == "demo":
            return row["exits"]
    raise AssertionError("no VM demo")


def test_pause_and_resume(shell):
    shell.ok("vm pause demo")
    assert vm(shell, "demo")["state"] == "paused"
    exits = vm_exits(shell)
    time.sleep(2)
    assert vm_exits(shell) == exits
    shell.ok("vm resume demo")
    linux = Linux(shell, "demo", TIMEOUT)
    with linux.console():
        assert linux.run("echo $((6 * 7))") == "42"


def test_reset(shell):
    shell.ok("vm reset four", 60)
    linux = Linux(shell, "four", TIMEOUT)
    with linux.console():
        assert linux.run("nproc") == "4"


@pytest.mark.parametrize("name", ["demo", "four"])
def test_stop_presses_the_power_button(shell, name):
    shell.ok(f"vm stop {name}")
    shell.machine.expect(f"RAYOS_VM:STOPPED name={name}", TIMEOUT)
    shell.machine.expect(PROMPT, 10)
    assert vm(shell, name)["state"] in ("stopped", "defined")


def test_start_again_and_kill(shell):
    linux = Linux(shell, "demo", TIMEOUT)
    with linux.console(start=True):
        pass
    shell.machine.send_line("vm kill demo")
    shell.machine.expect("RAYOS_VM:KILLED name=demo", 30)
    shell.machine.expect(PROMPT, 10)
