# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the boot tests: one emulated machine a module, its log kept in build/boot-logs.

A module describes its machine in `MACHINE = dict(...)` (fields of rayoslib.machine.Config)
and its tests share one boot through the fixture `shell`; or it makes machines by `boot`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "scripts"))

from rayoslib import results  # noqa: E402
from rayoslib.machine import Config, machine  # noqa: E402
from rayoslib.shell import Shell  # noqa: E402

LOGS = TOP / "build" / "boot-logs"
LOG_TAIL = 4000
# For guests that are to run side by side: under QEMU they keep off the first (docs/backends.md).
SMP = 3


def _keep_log(name, target):
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / f"{name}.log").write_bytes(bytes(target.log))


def build_image(folder, guests, conf="", files=()):
    """An image with test guests (build/guests/<stem>.elf) and files as modules."""
    modules = [TOP / f"build/guests/{guest}.elf" for guest in guests] + list(files)
    lines = ["[boot]", *(f"module = {Path(module).name}" for module in modules), conf]
    (folder / "rayos.conf").write_text("\n".join(lines) + "\n")
    command = [TOP / "scripts/mkiso", "--conf", folder / "rayos.conf", "-o", folder / "test.iso"]
    for module in modules:
        command += ["--module", module]
    subprocess.run(command, check=True)
    return folder / "test.iso"


@pytest.fixture(scope="module")
def boot(request):
    """A function that starts a machine; all of them end with the module."""
    started = []

    def start(name=None, **fields):
        target = machine(Config(**fields))
        started.append((name or f"{request.module.__name__}-{len(started)}", target))
        request.module.current_machine = target
        return target.start()

    yield start
    for name, target in started:
        _keep_log(name, target)
        target.stop()


@pytest.fixture(scope="module")
def shell(request, boot):
    """The shell of the module's machine, booted once."""
    fields = getattr(request.module, "MACHINE", {})
    return Shell(boot(request.module.__name__, **fields)).wait_ready()


@pytest.fixture
def show(request):
    """Print to the terminal whatever the capture setting: evidence for the test log."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")

    def write(text):
        for line in text.strip().splitlines():
            reporter.write_line(f"    | {line}")

    reporter.write_line("")
    return write


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of its machine's serial log."""
    outcome = yield
    report = outcome.get_result()
    target = getattr(item.module, "current_machine", None)
    if report.failed and target is not None:
        report.sections.append(("serial log", target.text()[-LOG_TAIL:]))


def _reason(report):
    """Of a test that was skipped, or that failed as it was expected to."""
    if hasattr(report, "wasxfail"):
        return report.wasxfail
    return report.longrepr[2].removeprefix("Skipped: ")


class _Counter:
    def __init__(self):
        self.passed, self.failures, self.skipped = 0, [], []

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failures.append(report.nodeid)
        elif report.skipped:
            self.skipped.append(f"{report.nodeid}: {_reason(report)}")
        elif report.when == "call" and report.passed:
            self.passed += 1

    def pytest_sessionfinish(self):
        # scripts/run-boot has each file's kept by itself.
        results.write(os.environ.get("RAYOS_RESULT", "boot"), self.passed, len(self.failures), self.failures, self.skipped)


def pytest_configure(config):
    config.pluginmanager.register(_Counter(), "rayos-counter")
