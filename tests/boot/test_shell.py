# SPDX-License-Identifier: Apache-2.0
"""The shell on the serial line: commands, editing keys, garbage."""

import re

from rayoslib.shell import PROMPT

VERSION = r"version: +\d+\.\d+\.\d+"
MACHINE = {"cpus": 1, "memory": 512}


def test_markers_come_in_order(shell):
    text = shell.machine.text()
    places = [text.find(f"RAYOS_BOOT_MARKER:{name}") for name in (
        "LOADER_STARTED", "KERNEL_LOADED", "MEMORY_READY", "SUBSYSTEMS_READY", "SHELL_READY")]
    assert -1 not in places and places == sorted(places)


def test_help_lists_and_explains(shell):
    listing = shell.ok("help")
    for name in "help version cpu mem irq pci acpi log threads stats vm reboot poweroff".split():
        assert re.search(rf"\b{name}\b", listing), name
    assert "Example" in shell.ok("help vm start") or "example" in shell.ok("help vm start")


def test_version(shell):
    assert re.search(VERSION, shell.ok("version"))


def test_unknown_command_has_a_status(shell):
    result = shell.run("hlep")
    assert result.status != 0 and "help" in result.text


def test_json_listings(shell):
    for command in ("mem", "threads", "pci", "irq", "vm list"):
        assert shell.run(f"{command} --json").json is not None, command


def test_line_editing(shell):
    for keys in ("versiom\x7fn",  # backspace
                 "xx version\x01\x1b[C\x1b[C\x15",  # Ctrl-A, right twice, Ctrl-U
                 "\x1b[A",  # up: the last line again
                 "versio\t",
                 "\x1b[A"):  # up: the last line again
        assert re.search(VERSION, shell.ok(keys)), keys


def test_garbage_does_no_harm(shell):
    shell.machine.send(bytes(range(256)) * 16 + b"\x03")
    shell.machine.send(b"A" * 100000 + b"\r")
    shell.machine.expect("line is longer", 60)
    shell.machine.expect(PROMPT, 60)
    assert re.search(VERSION, shell.ok("version"))


def test_selftest(shell):
    assert re.search(r"RAYOS_SELFTEST:DONE passed=[1-9]\d* failed=0", shell.ok("selftest", 120))


def test_commands_leak_nothing(shell):
    shell.run("mem --json")
    before = shell.memory()
    for command in ("help", "pci", "threads --json", "nonsense", "vm start nobody", "log show"):
        shell.run(command)
    assert shell.memory() == before


def test_power_off(shell):
    shell.machine.send_line("poweroff")
    shell.machine.expect("RAYOS_POWER:OFF", 20)
    assert shell.machine.wait_exit(20)
