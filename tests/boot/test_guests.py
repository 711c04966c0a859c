# SPDX-License-Identifier: Apache-2.0
"""Our own test guests under SVM in QEMU: what a guest sees, and what harms nobody else."""

import json
import re

import pytest

from conftest import build_image
from rayoslib.shell import CONSOLE_LEAVE, PROMPT, Shell

GUESTS = "state state.pvh memory misbehave"
MACHINE = {"cpus": 2, "memory": 2048}


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    image = build_image(tmp_path_factory.mktemp("guests"), GUESTS.split())
    return Shell(boot("guests", iso=image, **MACHINE)).wait_ready()


def define(shell, name, guest, cmdline, memory="32M", **keys):
    more = "".join(f" {key}={value}" for key, value in keys.items())
    shell.ok(f"vm define {name} kernel={guest}.elf memory={memory} 'cmdline={cmdline}'{more}")


def run_guest(shell, name, timeout=120):
    """Start a guest that lingers; its console output, and let it end."""
    machine = shell.machine
    shell.ok(f"vm start {name}")
    begin = machine.mark
    machine.send_line(f"vm console {name} --from-start")
    machine.expect(re.compile(r"GUEST:(DONE|FAULT) [^\r\n]+(?=[\r\n])"), timeout)
    text = machine.text(begin)
    machine.send("q")
    machine.expect(f"Console of '{name}' closed", 30)
    machine.expect(PROMPT, 10)
    shell.ok(f"vm undefine {name}")
    return text


def test_backend_alone_and_with_an_nmi_of_the_host(shell):
    assert "failed=0" in shell.ok("selftest backend", 60)


@pytest.mark.parametrize("image", ["state", "state.pvh"])
def test_hardware_state(shell, show, image):
    define(shell, "state", image, "linger testdev", testdev="yes")
    text = run_guest(shell, "state")
    show("\n".join(re.findall(r"(?:PASS|FAIL|GUEST:).*", text)))
    assert "FAIL" not in text and re.search(r"GUEST:DONE passed=[1-9]\d* failed=0", text)


def test_memory_of_a_killed_guest_reads_as_zeros(shell):
    define(shell, "writer", "memory", "id=7", "64M")
    shell.ok("vm start writer")
    shell.machine.send_line("vm console writer --from-start")
    shell.machine.expect("MEMORY ok 7 1", 60)
    shell.machine.send(CONSOLE_LEAVE)
    shell.machine.expect(PROMPT, 10)
    shell.ok("vm kill writer")
    shell.ok("vm undefine writer")
    for name in ("reader1", "reader2"):
        define(shell, name, "memory", "zeros linger", "64M")
        text = run_guest(shell, name)
        found = re.search(r"pages=(\d+) words_not_zero=(\d+)", text)
        assert int(found.group(1)) > 15000 and int(found.group(2)) == 0


@pytest.mark.parametrize("way", ["triple", "nowhere"])
def test_a_crash_is_reported_with_a_reason(shell, way):
    define(shell, way, "misbehave", way)
    shell.machine.send_line(f"vm start {way}")
    shell.machine.expect(re.compile(rf"RAYOS_VM:CRASHED name={way} reason=\S+"), 60)
    shell.machine.expect(PROMPT, 10)
    info = json.loads(shell.ok(f"vm info {way} --json"))
    assert info["state"] == "crashed" and info["reason"]
    shell.ok(f"vm undefine {way}")


@pytest.mark.parametrize("way", ["spin", "hammer"])
def test_a_busy_guest_can_be_killed_and_leaves_the_shell_alive(shell, way):
    define(shell, way, "misbehave", way)
    shell.ok(f"vm start {way}")
    assert "version" in shell.ok("version")
    shell.machine.send_line(f"vm kill {way}")
    shell.machine.expect(f"RAYOS_VM:KILLED name={way}", 30)
    shell.machine.expect(PROMPT, 10)
    shell.ok(f"vm undefine {way}")


@pytest.mark.parametrize("keys, says", [
    ("kernel=nosuch.elf", "nosuch"),
    ("kernel=state.elf memory=0", "memory"),
    ("kernel=state.elf memory=1", "memory"),
    ("kernel=state.elf memory=64G", "memory"),
    ("kernel=state.elf vcpus=0", "vcpus"),
    ("kernel=state.elf vcpus=1000", "vcpus"),
    ("kernal=state.elf", "kernel"),
    ("kernel=rayos.conf", ""),
])
def test_bad_definitions_are_refused_and_leave_nothing(shell, keys, says):
    shell.run("mem --json")
    before = shell.memory()
    result = shell.run(f"vm define bad {keys}")
    if result.status == 0:
        result = shell.run("vm start bad", 60)
        assert result.status != 0
        shell.ok("vm undefine bad")
    assert says in result.text
    assert shell.memory() == before


def test_names(shell):
    assert shell.run(f"vm define {'n' * 300} kernel=state.elf").status != 0
    shell.ok("vm define twice kernel=state.elf")
    assert shell.run("vm define twice kernel=state.elf").status != 0
    shell.ok("vm undefine twice")


def test_all_memory_comes_back(shell):
    define(shell, "m0", "memory", "id=1")
    shell.ok("vm start m0")
    shell.ok("vm kill m0")
    shell.ok("vm undefine m0")
    before = shell.memory()
    for n in range(4):
        define(shell, f"m{n}", "memory", f"id={n + 1}")
        shell.ok(f"vm start m{n}")
    for n in range(4):
        shell.ok(f"vm kill m{n}")
        shell.ok(f"vm undefine m{n}")
    assert shell.memory() == before
