# SPDX-License-Identifier: Apache-2.0
"""The demo guest (scripts/guest/init) through `vm console`."""

import re
from contextlib import contextmanager

from .shell import ANSI, CONSOLE_LEAVE, PROMPT

BANNER = "RayOS demo guest: "
GUEST_PROMPT = re.compile(r"demo# (?:\x1b\[[0-9;?]*[A-Za-z])*$")


class Linux:
    """One running Linux guest of a RayOS shell."""

    syncs = 0

    def __init__(self, shell, name, boot_timeout):
        self.shell, self.name, self.timeout = shell, name, boot_timeout

    @contextmanager
    def console(self, start=False):
        """Inside: on the console, at the guest's prompt; afterwards back at RayOS's prompt.

        The value is what the guest has written before its prompt.
        """
        machine = self.shell.machine
        if start:
            self.shell.ok(f"vm start {self.name}", self.timeout)
        begin = machine.mark
        machine.send_line(f"vm console {self.name} --from-start")
        try:
            machine.expect(BANNER, self.timeout)
            machine.expect(GUEST_PROMPT, self.timeout)
            self._sync()
            yield ANSI.sub("", machine.text(begin))
        finally:
            machine.send(CONSOLE_LEAVE)
            machine.expect(PROMPT, 30)

    def _sync(self):
        """Leave replayed output behind: an answer that only a fresh command can give."""
        Linux.syncs += 1
        self.shell.machine.send_line(f"echo sync-$(({Linux.syncs} * 1001))")
        self.shell.machine.expect(f"sync-{Linux.syncs * 1001}", self.timeout)
        self.shell.machine.expect(GUEST_PROMPT, self.timeout)

    def run(self, line, timeout=None):
        """Type a line at the guest's prompt; its output."""
        machine = self.shell.machine
        begin = machine.mark
        machine.send_line(line)
        machine.expect(GUEST_PROMPT, timeout or self.timeout)
        text = ANSI.sub("", machine.log[begin:machine.mark].decode(errors="replace"))
        return "\n".join(text.replace("\r", "").split("\n")[1:-1])
