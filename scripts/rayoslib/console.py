# SPDX-License-Identifier: Apache-2.0
"""A guest's serial console, reached through `vm console` of the RayOS shell."""

import re

from .machine import MarkerMissing
from .shell import ANSI, CONSOLE_LEAVE, PROMPT

LINUX_PROMPT = "demo# "  # scripts/guest/init
# What RayOS says while a guest writes a line stands in the midst of it, on a line of its own.
SAID_MEANWHILE = r"\r*\n?RAYOS_[^\n]*\n"


def interrupted(text):
    """A pattern (without groups) for what a guest writes, interrupted or not."""
    return f"(?:{SAID_MEANWHILE})?".join(re.escape(character) for character in text)


class Console:
    """Attached while in the `with` block: at a fresh prompt of the guest's, or, when it
    is `booting`, from the first thing it wrote on."""

    def __init__(self, shell, name, booting=False, prompt=LINUX_PROMPT):
        self.shell, self.machine, self.booting = shell, shell.machine, booting
        self.name, self.prompt = name, re.compile(interrupted(prompt))
        self._attached = False

    def __enter__(self):
        option = " --from-start" if self.booting else ""
        self.machine.send_line(f"vm console {self.name}{option}")
        self.machine.expect("Ctrl-] leaves.", 30)
        self._attached = True
        if not self.booting:
            self.machine.send_line("")
            try:
                self.machine.expect(self.prompt, 60)
            except MarkerMissing:  # __exit__ is not called then; the next test wants the shell
                self.machine.send(CONSOLE_LEAVE)
                raise
        return self

    def __exit__(self, kind, _value, _trace):
        if not self._attached:
            return
        self.machine.send(CONSOLE_LEAVE)
        try:
            self.machine.expect(PROMPT, 30)
        except MarkerMissing:
            if kind is None:  # a failure before this one says more
                raise

    def expect(self, marker, timeout=60):
        return self.machine.expect(marker, timeout)

    def ready(self, timeout):
        """Wait for the guest's prompt; what came before it is returned."""
        return self._until(self.prompt, timeout)

    def run(self, line, timeout=60):
        """Type a line at the guest's prompt and return what it printed."""
        self.machine.send_line(line)
        text = self._until(self.prompt, timeout)
        return "\n".join(text.split("\n")[1:-1])

    def ends(self, line, timeout=60):
        """Type a line that ends the guest, and with it this console."""
        self.machine.send_line(line)
        text = self._until(PROMPT, timeout)
        self._attached = False
        return text

    def _until(self, marker, timeout):
        start = self.machine.mark
        self.machine.expect(marker, timeout)
        text = self.machine.log[start:self.machine.mark].decode(errors="replace")
        return ANSI.sub("", text).replace("\r", "")
