# SPDX-License-Identifier: Apache-2.0
"""The RayOS shell as scripts see it: a line in, its output and its exit status back."""

import json
import re
import time
from dataclasses import dataclass

from .files import without_files
from .machine import BOOT_TIMEOUT, SHELL_READY

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# A prompt begins a line and is the last thing printed; a failed command's status stands first.
PROMPT = re.compile(r"\n(?:\x1b\[[0-9;?]*[A-Za-z])*(?:\[(\d+)\] )?rayos> (?:\x1b\[[0-9;?]*[A-Za-z])*$")
ECHO_TAIL = 8  # characters of a line that must be seen before its prompt can come


def prompt_after(line):
    """A prompt behind the echo of a line: one repainted below another thread's output is not.

    A line with control characters is edited on its way and not echoed as it is.
    """
    if not line.isprintable():
        return PROMPT
    tail = line.strip().encode().decode("latin-1")[-ECHO_TAIL:]
    echo = r"(?:\s|\x1b\[[0-9;?]*[A-Za-z])*".join(re.escape(c) for c in tail)
    return re.compile(echo + r"[\s\S]*?" + PROMPT.pattern)


CONSOLE_LEAVE = b"\x1d"  # Ctrl-]


@dataclass
class Result:
    """Output of one command, without echo, prompt and escape sequences."""

    text: str
    status: int

    @property
    def json(self):
        return json.loads(self.text)


class Shell:
    """Drives the shell of a machine that was started."""

    def __init__(self, machine):
        self.machine = machine

    def wait_ready(self):
        config = self.machine.config
        # One CPU of the host's for all of ours, each instruction counted.
        slower = 5 if config.icount else 1
        self.machine.expect(SHELL_READY, BOOT_TIMEOUT[config.backend] * slower)
        self.machine.expect(PROMPT, 20)
        return self

    def run(self, line, timeout=30):
        """Type a line, wait for the next prompt, return what came in between."""
        machine = self.machine
        before = len(machine.log)
        machine.send_line(line)
        match = machine.expect(prompt_after(line), timeout)
        seen = without_files(machine.log[before:machine.mark])
        text = ANSI.sub("", seen.decode("utf-8", errors="replace"))
        # The echo ends with the first line break; the prompt is the last line.
        lines = text.split("\r\n")[1:-1]
        return Result("\n".join(lines).strip("\n"), int(match.group(1) or 0))

    def file(self, line, timeout=120):
        """Run a command that sends a file: its name and bytes."""
        before = len(self.machine.files)
        result = self.run(line, timeout)
        assert result.status == 0, f"{line!r} ended with {result.status}: {result.text}"
        assert len(self.machine.files) == before + 1, f"{line!r} sent no file"
        name, data, why = self.machine.files[-1]
        assert data is not None, f"{line!r}: {name}: {why}"
        return name, data

    def memory(self):
        """What is allocated, by kind, and every byte that is free or the heap's: equal before
        and after when nothing leaked."""
        self.boot_over()
        seen = self.run("mem --json").json
        kinds = {tag["tag"]: (tag["bytes"], tag["objects"]) for tag in seen["tags"]}
        # An empty slab may stay with the heap; whatever else is missing was lost.
        return kinds | {"pages": seen["free"] + seen["heap"]}

    def boot_over(self):
        """ACPI's namespace is loaded beside the first prompt: wait for the end of that."""
        deadline = time.monotonic() + 60
        while "acpi-load" in self.run("threads").text and time.monotonic() < deadline:
            time.sleep(0.5)

    def listing(self, command):
        """The rows of a listing with --json. Markers of other threads may stand around it."""
        text = self.ok(f"{command} --json")
        found = re.search(r"^\[.*\]$", text, re.M)
        assert found, f"{command!r} gives no listing: {text}"
        return json.loads(found.group())

    def ok(self, line, timeout=30):
        """run(), for a command that must succeed."""
        result = self.run(line, timeout)
        assert result.status == 0, f"{line!r} ended with {result.status}: {result.text}"
        return result.text
