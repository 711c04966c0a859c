# SPDX-License-Identifier: Apache-2.0
"""The kernel on its own: memory, page permissions, configuration, panic and what follows it."""

import re
import subprocess
import time

from conftest import TOP
from rayoslib.machine import BOOT_TIMEOUT, SHELL_READY
from rayoslib.shell import PROMPT, Shell

MACHINE = {"cpus": 2, "memory": 2048}
OVERHEAD = (24 << 20) + 2048 * 1024 * 1024 * 8 // 1000  # what the kernel may take of 2 GiB

CONF = """[rayos]
loglevel = debug
panc = halt
panic = halt
mitigations = off
"""


def test_memory_markers(shell):
    total, free = map(int, re.search(
        r"RAYOS_BOOT_MARKER:MEMORY_READY total_mib=(\d+) free_mib=(\d+)",
        shell.machine.text()).groups())
    assert 1900 < total <= 2048 and free <= total


def test_memory_adds_up(shell):
    mem = shell.run("mem --json").json
    assert mem["free"] + mem["used"] + mem["reserved"] == mem["total"]
    assert mem["dirty"] + mem["zeroed"] <= mem["free"]
    modules = sum(r["size"] for r in shell.run("mem map --json").json if r["type"] == "module")
    assert mem["total"] - mem["free"] - modules <= OVERHEAD


def test_idle_memory_is_zeroed_ahead(shell):
    deadline = time.monotonic() + 30
    before = shell.run("mem --json").json["zeroed"]
    while shell.run("mem --json").json["zeroed"] <= before:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_page_permissions_and_allocators(shell):
    """W^X by walking the live page tables, guard pages, heap, scrubbing."""
    text = shell.ok("selftest mm_", 60)
    assert re.search(r"mm_wx +ok", text)
    assert re.search(r"executable \d+ KiB", text)
    assert re.search(r"RAYOS_SELFTEST:DONE passed=[1-9]\d* failed=0", text)
    assert "failed=0" in shell.ok("selftest arch_")


def test_map_has_no_overlaps(shell):
    ranges = shell.run("mem map --json").json
    for left, right in zip(ranges, ranges[1:]):
        assert int(left["last"], 16) < int(right["first"], 16)


def test_log_command(shell):
    assert "time: TSC calibrated" in shell.ok("log show --tag=time")
    entries = shell.run("log show --json").json
    assert [e["seq"] for e in entries] == sorted(e["seq"] for e in entries)
    assert shell.run("log show --level=loud").status != 0
    assert shell.ok("log level") == "info"
    shell.ok("log level debug")
    assert shell.ok("log level") == "debug"
    shell.ok("log level info")


def panic(shell, way, reason, function):
    """Panic in one way; the report names the function, the machine boots again."""
    machine = shell.machine
    machine.send_line(f"panic {way}")
    machine.expect(re.compile(r"\[y/N\]|\(y/n\)|yes", re.I), 10)
    before = len(machine.log)
    machine.send_line("y")
    machine.expect("RAYOS_PANIC:PANIC reason=", 30)
    machine.settle()
    report = machine.text(before)
    assert reason in report, report
    assert re.search(rf"^  [0-9a-f]{{16}}  {function}\+0x[0-9a-f]+$", report, re.M), report
    return report


def reboots(shell):
    shell.machine.expect(SHELL_READY, BOOT_TIMEOUT[shell.machine.config.backend])
    shell.machine.expect(PROMPT, 20)


def test_panic_asks_first(shell):
    shell.machine.send_line("panic")
    shell.machine.expect(re.compile(r"panic.*\?", re.I), 10)
    shell.machine.send_line("n")
    shell.machine.expect(PROMPT, 10)
    assert "version" in shell.ok("version")


def test_panic_and_reset(shell):
    panic(shell, "assert", "panic on CPU", "panic_run")
    reboots(shell)


def test_stack_overflow_names_the_thread(shell):
    panic(shell, "stack", "stack overflow in thread shell", "recurse")
    reboots(shell)


def test_code_cannot_be_written(shell):
    report = panic(shell, "write", "not permitted", "write_text")
    assert "page fault: write of" in report
    assert re.search(r"^rip [0-9a-f]{16} .*rflags", report, re.M)


def test_configuration_and_halt(boot, tmp_path_factory):
    folder = tmp_path_factory.mktemp("conf")
    (folder / "rayos.conf").write_text(CONF)
    subprocess.run([TOP / "scripts/mkiso", "--conf", folder / "rayos.conf", "--no-check",
                    "-o", folder / "test.iso"], check=True)
    shell = Shell(boot("kernel-conf", iso=folder / "test.iso", memory=256)).wait_ready()
    log = shell.ok("log show --tag=conf")
    assert 'rayos.conf:3: unknown key "panc"; did you mean "panic"?' in log
    assert re.search(r"^mitigations: +off", shell.ok("cpu"), re.M)
    assert "init: conf is up" in shell.ok("log show --level=debug --tag=init")
    panic(shell, "null", "page fault: read of 0000000000000010, not mapped", "read_null")
    time.sleep(3)
    assert shell.machine.running
    assert "LOADER_STARTED" not in shell.machine.text(shell.machine.mark)
