# SPDX-License-Identifier: Apache-2.0
"""What the documents tell people to type works: shell examples, scripts, make goals."""

import re
import shlex
import subprocess
import time

import pytest

from conftest import TOP
from rayoslib.shell import PROMPT

MACHINE = {"cpus": 2, "memory": 2048}
DOCS = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md"))]
# Files that a reader has, by the names the README gives them.
READERS_FILES = {"bzImage": "build/deps/linux/vmlinuz", "rootfs.cpio": "build/guest/initrd.img"}
RUN_TIMEOUT = 300

# Examples that need others before them, and such as end in something else than a prompt.
ORDER = ["vm define", "vm start", "vm attach", "device ", "net link", "vm balloon", "vm detach", "vm info",
         "vm log", "vm stats", "vm pause", "vm resume", "vm reset", "vm rebuild", "vm console", "vm stop", "vm kill", "vm undefine"]
# What to wait for, and the answer to it.
ANSWERS = {"panic": ("[y/N] ", "n\r"), "vm console": ("Ctrl-] leaves.", "\x1d"),
           "log follow": (re.compile(r"log follow[^\r\n]*(?=\r\n)"), "\x03")}
LAST = ["reboot", "poweroff"]
# What needs devices that neither the demo nor this machine has: typed in test_display.py,
# test_vsock.py, test_disks.py and test_slots.py.
ELSEWHERE = ("vm key", "vm type", "vm pointer", "vm screenshot", "vm connect", "disk info", "disk part",
             "disk dump", "disk smart", "disk repair", "disk fault", "disk label", "disk add", "disk remove",
             "volume ", "dev bind", "dev unbind",
             "dev suspend", "dev resume", "pci eject")


def fenced(path, kind):
    """The blocks of a document between ```kind and ```."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), re.M | re.S)
    return [text for name, text in blocks if name == kind]


def documented():
    """Every `make ...` and `scripts/...` line, without comments."""
    for path in DOCS:
        blocks = [block.replace("\\\n", " ") for block in fenced(path, "sh")]
        lines = [line.split("#")[0] for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`((?:make|scripts/)[^`]*)`", path.read_text())
        for line in filter(str.strip, lines):
            yield path.name, shlex.split(line)


def shell_examples():
    reference = (TOP / "docs/shell.md").read_text()
    found = re.findall(r"^Example: `(.*)`$", reference, re.M)
    for block in fenced(TOP / "README.md", ""):
        found += [line.split("   ")[0] for line in re.findall(r"^rayos> (.*)$", block, re.M)]
    assert len(found) == reference.count("\nExample: ") + 10, "an example is not read as one"
    return sorted(dict.fromkeys(found), key=lambda line: next(
        (ORDER.index(name) for name in ORDER if line.startswith(name)), -1))


def guest_up(shell):
    deadline = time.monotonic() + RUN_TIMEOUT
    while "RayOS demo guest" not in shell.ok("vm log demo"):
        assert time.monotonic() < deadline, "the demo guest does not come up"
        time.sleep(1)


def test_examples_of_the_shell_reference(shell):
    machine = shell.machine
    for line in shell_examples():
        if line in LAST or line.startswith(ELSEWHERE):
            continue
        answer = next((a for name, a in ANSWERS.items() if line.startswith(name)), None)
        if answer is None:
            result = shell.run(line, 60)
            assert result.status == 0, f"{line!r}: {result.text}"
            if line == "vm start demo":
                guest_up(shell)  # what follows needs its drivers
            continue
        machine.send_line(line)
        machine.expect(answer[0], 30)
        machine.send(answer[1])
        machine.expect(PROMPT, 30)
    machine.send_line("reboot")
    shell.wait_ready()
    machine.send_line("poweroff")
    machine.wait_exit(30)


def make_goals():
    listed = subprocess.run(["make", "-rpnq", "help"], cwd=TOP, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=False).stdout.decode()
    return set(re.findall(r"^([a-z][a-z-]*):", listed, re.M))


def test_make_goals_and_options_exist():
    goals = make_goals()
    assert "run" in goals and "no-such-goal" not in goals
    seen = 0
    for name, words in documented():
        if words[0] == "make":
            wanted = [word for word in words[1:] if "=" not in word]
            assert set(wanted) <= goals, f"{name}: {words}"
            seen += 1
        elif words[0].startswith("scripts/"):
            assert (TOP / words[0]).is_file(), f"{name}: {words}"
            options = {word for word in words if word.startswith("--")}
            if options - {"--help"}:
                text = (TOP / words[0]).read_text()
                assert all(option in text for option in options), f"{name}: {words}"
            seen += 1
    assert seen > 20


def run_script(words, folder):
    command = [str(TOP / words[0]), *words[1:]]
    done = subprocess.run(command, cwd=folder, timeout=RUN_TIMEOUT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout.decode(errors='replace')[-2000:]}"


@pytest.fixture(scope="module")
def readers_folder(tmp_path_factory):
    """A folder as the README has it: two files and a rayos.conf."""
    folder = tmp_path_factory.mktemp("readme")
    for name, made in READERS_FILES.items():
        (folder / name).symlink_to(TOP / made)
    (folder / "rayos.conf").write_text("".join(fenced(TOP / "README.md", "ini")))
    return folder


def test_own_guests_as_the_readme_has_it(readers_folder):
    lines = [words for name, words in documented() if name == "README.md"
             and ("mkiso" in words[0] or "my.iso" in words)]
    assert [words[0] for words in lines] == ["scripts/mkiso", "scripts/run"]
    run_script(lines[0], readers_folder)
    run_script([*lines[1], "--headless", "--until", "RAYOS_VM:STARTED name=web",
                "--command", "vm info web"], readers_folder)


def test_headless_line_of_the_readme(readers_folder):
    lines = [words for name, words in documented()
             if name == "README.md" and "--headless" in words]
    assert len(lines) == 1
    run_script(lines[0], readers_folder)
