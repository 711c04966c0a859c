# SPDX-License-Identifier: Apache-2.0
"""What an operator types, and what nobody sane types: editing, completion, questions, garbage."""

import json
import random
import re
import time

from conftest import TOP

MACHINE = {"cpus": 1, "memory": 512}
LINE_MAX = 4095


def settled_memory(shell):
    """What is allocated once the drivers that come up in the background are up."""
    seen = [shell.memory()]
    while len(seen) < 30 and (len(seen) < 3 or seen[-1] != seen[-3]):
        time.sleep(1)
        seen.append(shell.memory())
    return seen[-1]


def settle(shell):
    """After input of unknown effect: an empty line, then a command that answers."""
    shell.machine.send("\x03\r")
    shell.machine.send_line("version")
    shell.machine.expect(re.compile(r"version: +\d"), 60)
    shell.machine.expect("\nrayos> ", 10)


def test_help_explains_every_command_with_an_example(shell):
    commands = json.loads(shell.ok("help --json"))
    assert len(commands) > 5
    text = shell.ok("help")
    for command in commands:
        assert command["name"] in text
        assert command["summary"] and command["example"], command["name"]
        said = shell.ok(f"help {command['name']}")
        assert f"example: {command['example']}" in said and "usage:" in said


def test_reference_lists_every_command(shell):
    text = (TOP / "docs/shell.md").read_text()
    for command in json.loads(shell.ok("help --json")):
        assert f"### {command['name']}\n" in text, "run `make docs`"


def test_mistakes_are_named(shell):
    result = shell.run("versoin")
    assert result.status == 22 and "did you mean 'version'?" in result.text
    result = shell.run("version now")
    assert result.status == 22 and "usage: version" in result.text
    assert shell.run("help 'x").status == 22


def test_status_of_the_last_command(shell):
    shell.run("bogus")
    assert json.loads(shell.ok("status --json")) == {"status": 22, "meaning": "invalid argument"}
    assert json.loads(shell.ok("status --json"))["status"] == 0


def types(shell, keys, wanted):
    """Type keys and Enter and wait for an answer. Not run(): repainting shows prompts too."""
    shell.machine.send(keys + "\r")
    shell.machine.expect(wanted, 10)
    shell.machine.expect("\nrayos> ", 10)


def test_editing_keys(shell):
    # vresion -> version: swap two letters in the middle with arrows and erasing
    types(shell, "vresion\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x7f\x1b[Cr", "compiler:")
    types(shell, "ersion\x01v\x05", "compiler:")
    types(shell, "nonsense and more\x15version", "compiler:")
    types(shell, "version junk\x17\x7f", "compiler:")
    types(shell, "versionXYZ\x1b[D\x1b[D\x1b[D\x0b", "compiler:")


def test_history_and_search(shell):
    shell.ok("version")
    shell.ok("status")
    types(shell, "\x1b[A\x1b[A", "compiler:")
    shell.ok("status")
    types(shell, "\x12vers", "compiler:")
    assert "version" in shell.ok("history")


def test_completion(shell):
    types(shell, "vers\t", "compiler:")
    types(shell, "help acpi d\t", "SIGNATURE")
    types(shell, "version --j\t", '{"version":')
    shell.machine.send("log \t\t")
    shell.machine.expect(re.compile(r"\nclear +console +follow +level +show"), 10)
    settle(shell)


def test_ctrl_c_interrupts_a_command(shell):
    shell.machine.send_line("log follow")
    shell.machine.expect("irq: ", 10)
    shell.machine.send("\x03")
    shell.machine.expect("rayos> ", 10)
    settle(shell)


def test_a_question_is_not_answered_by_accident(shell):
    shell.machine.send_line("panic")
    shell.machine.expect("[y/N] ", 10)
    shell.machine.send("\r")
    shell.machine.expect("not done", 10)
    settle(shell)


def test_megabyte_long_line(shell):
    before = settled_memory(shell)
    shell.machine.send(b"x" * (1 << 20))
    shell.machine.send("\r")
    shell.machine.expect(f"longer than {LINE_MAX} bytes; it was ignored", 120)
    settle(shell)
    assert shell.memory() == before


def test_garbage_at_full_speed(shell):
    before = settled_memory(shell)
    source = random.Random(1)
    for _ in range(4):
        shell.machine.send(source.randbytes(4096))
        settle(shell)
    # every control code and lead byte, in one go
    shell.machine.send(bytes(range(256)) * 16)
    settle(shell)
    assert shell.memory() == before
