# SPDX-License-Identifier: Apache-2.0
"""A run of long cases that can be broken off and goes on where it stopped.

What passed on the very same tree is not run again. Each case's output is kept in a file of its
name; one line per case run is appended to soak.log, which nothing ever shortens.
"""

import json
import subprocess
import time


class Soak:
    """The cases of one tree, their logs and what has passed so far, in a folder."""

    def __init__(self, folder, tree, cases, fresh=False):
        self.folder, self.tree, self.cases = folder, tree, dict(cases)
        self.passed = {}
        folder.mkdir(parents=True, exist_ok=True)
        if not fresh and self._state.exists():
            state = json.loads(self._state.read_text())
            if state.get("tree") == tree:
                self.passed = state["passed"]
        if fresh:
            self._keep()

    @property
    def _state(self):
        return self.folder / "state.json"

    def _keep(self):
        """Written beside and moved over, so that a kill in between loses nothing."""
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps({"tree": self.tree, "passed": self.passed}, indent=1) + "\n")
        new.replace(self._state)

    def _note(self, name, result, seconds):
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with open(self.folder / "soak.log", "a") as log:
            log.write(f"{stamp} {self.tree} {result} {name} {seconds:.0f} s\n")

    def log(self, name):
        return self.folder / f"{name}.log"

    def run(self, name, env=None):
        """Run one case; whether it passed, and in how many seconds."""
        begun = time.monotonic()
        self.passed.pop(name, None)
        with open(self.log(name), "wb") as log:
            code = subprocess.run(self.cases[name], stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=subprocess.STDOUT, env=env, check=False).returncode
        seconds = time.monotonic() - begun
        if code == 0:
            self.passed[name] = round(seconds)
        self._keep()
        self._note(name, "passed" if code == 0 else "FAILED", seconds)
        return code == 0, seconds

    def todo(self, names=()):
        """The cases named, whatever became of them; without names those that have not passed."""
        return [name for name in self.cases if (name in names if names else name not in self.passed)]
