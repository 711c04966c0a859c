# SPDX-License-Identifier: Apache-2.0
"""The demo guest (scripts/guest/init) through `vm console`."""

import re

from .shell import ANSI, CONSOLE_LEAVE, PROMPT

BANNER = "RayOS demo guest: "
GUEST_PROMPT = re.compile(r"demo# (?:\x1b\[[0-9;?]*[A-Za-z])*$")


class Linux:
    """One running Linux guest of a RayOS shell."""

    def __init__(self, shell, name, boot_timeout):
        self.shell, self.name, self.timeout = shell, name, boot_timeout

    def start(self):
        """Start it, wait for its banner, stay on its console; returns the banner."""
        self.shell.ok(f"vm start {self.name}", self.timeout)
        return self.attach()

    def attach(self):
        """Enter the console and wait for the guest's prompt; what was written so far."""
        machine = self.shell.machine
        begin = machine.mark
        machine.send_line(f"vm console {self.name} --from-start")
        machine.expect(BANNER, self.timeout)
        machine.expect(GUEST_PROMPT, self.timeout)
        return ANSI.sub("", machine.text(begin))

    def run(self, line, timeout=None):
        """Type a line at the guest's prompt; its output."""
        machine = self.shell.machine
        begin = machine.mark
        machine.send_line(line)
        machine.expect(GUEST_PROMPT, timeout or self.timeout)
        text = ANSI.sub("", machine.log[begin:machine.mark].decode(errors="replace"))
        return "\n".join(text.replace("\r\n", "\n").split("\n")[1:-1])

    def leave(self):
        """Back to the RayOS prompt."""
        self.shell.machine.send(CONSOLE_LEAVE)
        self.shell.machine.expect(PROMPT, 30)
