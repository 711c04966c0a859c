# SPDX-License-Identifier: Apache-2.0
"""A test guest (docs/guests.md) at its prompt: a command in, its output and exit status back.

    start(shell, "web")
    with Guest(shell, "web", booting=True) as guest:
        guest.ready()
        assert guest.ok("fio --version").startswith("fio-")

Several guests share the machine's one serial line: attach to them in turn, and let what must go
on meanwhile run in the background (spawn).
"""

import base64
import itertools
import re
from dataclasses import dataclass

from .console import SAID_MEANWHILE, Console, interrupted
from .machine import TOP
from .shell import ANSI, PROMPT, Result

IMAGES = TOP / "build/guest"
INITRD = IMAGES / "test-initrd.img"  # busybox and modules, for CLOUD_KERNEL
TOOLS = IMAGES / "tools.img"  # the disk of serial number "tools"
INITRD_TOOLS = IMAGES / "test-tools-initrd.img"  # both in one
GENERIC_INITRD = IMAGES / "generic-initrd.img"  # for GENERIC_KERNEL, as are the tools in
GENERIC_INITRD_TOOLS = IMAGES / "generic-tools-initrd.img"
CLOUD_KERNEL = TOP / "build/deps/linux/vmlinuz"
GENERIC_KERNEL = TOP / "build/deps/linux_generic/vmlinuz"

GUEST_PROMPT = "guest# "  # tests/guests/linux/init
READY = re.compile(r"GUEST:READY (.*?)\r*\n")
BOOT = 300  # seconds on a busy host; 15 on an idle one
LINE_MAX = 900  # busybox's sh cuts a line at 1023 characters
CHUNK = 600  # of base64, a multiple of 4
_numbers = itertools.count(1)


class GuestError(Exception):
    """The guest's shell did not take a line, or a command that had to succeed failed."""


@dataclass
class Job:
    """A command that runs in the background of a guest."""

    command: str
    base: str  # of its files there: .out and, at its end, .status


def test_card(width, height):
    """What the program `card` draws: rows of RGB bytes, from the top left."""
    return b"".join(bytes((x & 255, y & 255, (x ^ y) & 255))
                    for y in range(height) for x in range(width))


def conf(name="linux", vcpus=2, *lines):
    """The section of rayos.conf for a test guest, with its tools; the modules are the caller's."""
    return "\n".join((f"[vm {name}]", "kernel = vmlinuz", "initrd = test-initrd.img",
                      "cmdline = console=ttyS0 quiet", "memory = 256M", f"vcpus = {vcpus}",
                      "disk = module=tools.img,ro,serial=tools", *lines)) + "\n"


def fio(mib, depth=16, directory="/mnt"):
    """Random writes that it verifies; with --verify_only behind it, only that."""
    return (f"fio --eta=never --name=v --directory={directory} --size={mib}M --rw=randwrite --bs=16k "
            f"--direct=1 --verify=crc32c --ioengine=io_uring --iodepth={depth}")


def fio_show(show, text):
    """What matters of fio's report."""
    show("\n".join(line for line in text.splitlines() if re.search(r"err=|IOPS", line)))


def verify_disk(guest, serial, job, show, timeout):
    """A file system on the guest's disk of that serial number: fio verifies what it wrote, again
    after a discard of what is free, and the file system is whole."""
    guest.ok(f"until disk {serial}; do sleep 0.2; done", 60)
    guest.ok(f"mkfs.ext4 -q $(disk {serial}) && mkdir -p /mnt && mount $(disk {serial}) /mnt", 300)
    said = guest.ok(job, timeout)
    fio_show(show, said)
    assert "err= 0" in said
    guest.ok("sync; fstrim -v /mnt; echo 3 >/proc/sys/vm/drop_caches", 300)
    assert "err= 0" in guest.ok(f"{job} --verify_only", timeout)
    guest.ok(f"umount /mnt && e2fsck -fn $(disk {serial})", 300)
    assert not guest.problems()


def start(shell, name, timeout=60):
    """`vm start`, and the RayOS prompt again."""
    shell.machine.send_line(f"vm start {name}")
    shell.machine.expect(f"RAYOS_VM:STARTED name={name}", timeout)
    shell.machine.expect(PROMPT, timeout)


class Guest(Console):
    """Attached to a test guest's console while in the `with` block."""

    def __init__(self, shell, name, booting=False):
        super().__init__(shell, name, booting, GUEST_PROMPT)

    def ready(self, timeout=BOOT):
        """Wait until it has booted; what it says of itself (kernel, cpus, tools) as a dict."""
        match = self.machine.expect(READY, timeout)
        self.machine.expect(self.prompt, 60)
        return dict(field.split("=", 1) for field in match.group(1).split())

    def run(self, line, timeout=60):
        """Type a command; a Result of its output and exit status.

        Two marks that the echo of the line cannot contain stand around the output.
        """
        if len(line) > LINE_MAX or "\n" in line:
            raise ValueError(f"one line of at most {LINE_MAX} characters; put() a script instead")
        mark = f"GUEST:{next(_numbers)}"
        quoted = mark.replace(":", "':'")
        self.machine.send_line(f"echo {quoted}:BEGIN; {line}; echo {quoted}:END:$?")
        return self._result(mark, timeout)

    def _result(self, mark, timeout):
        start_of = self.machine.mark
        ending = re.compile(interrupted(f"{mark}:END:") +
                            r"(\d+)\r*\n|sh: (?:line \d+: )?syntax error[^\r\n]*")
        match = self.machine.expect(ending, timeout)
        text = self.machine.log[start_of:self.machine.mark].decode(errors="replace")
        text = ANSI.sub("", text).replace("\r", "")
        self.machine.expect(self.prompt, 60)
        if match.group(1) is None:
            raise GuestError(f"{self.name}: {match.group()}")
        if f"{mark}:BEGIN\n" not in text or f"{mark}:END:" not in text:
            text = re.sub(SAID_MEANWHILE, "", text)
        text = text.split(f"{mark}:BEGIN\n", 1)[1].rsplit(f"{mark}:END:", 1)[0]
        return Result(text.strip("\n"), int(match.group(1)))

    def ok(self, line, timeout=60):
        """run(), for a command that must succeed; its output."""
        result = self.run(line, timeout)
        if result.status:
            raise GuestError(f"{self.name}: {line!r} ended with {result.status}: {result.text}")
        return result.text

    def outcome(self, timeout=BOOT):
        """Wait until a guest with cmd= powered itself off; a Result of its command."""
        text = self._until(PROMPT, timeout)
        self._attached = False
        match = re.search(r"GUEST:READY .*\n([\s\S]*?)GUEST:EXIT (\d+)\n", text)
        if not match:
            raise GuestError(f"{self.name}: ended without GUEST:EXIT: {text}")
        return Result(match.group(1).strip("\n"), int(match.group(2)))

    def spawn(self, line):
        """Start a command in the background; join() tells how it ended."""
        job = Job(line, f"/tmp/job.{next(_numbers)}")
        self.ok(f"{{ ({line}) >{job.base}.out 2>&1; echo $? >{job.base}.new; "
                f"mv {job.base}.new {job.base}.status; }} & true")
        return job

    def join(self, job, timeout=60):
        """Wait for the end of a background command; a Result as of run()."""
        return self.run(f"until [ -e {job.base}.status ]; do sleep 0.2; done; "
                        f"cat {job.base}.out; (exit $(cat {job.base}.status))", timeout)

    def iperf_server(self):
        """Start iperf3's server for one client; its job, once it listens."""
        job = self.spawn("iperf3 -s -1")
        self.ok("until grep -q ':1451 0*:0000 0A' /proc/net/tcp /proc/net/tcp6; "  # port 5201
                "do sleep 0.1; done", 300)
        return job

    def put(self, path, data):
        """Write a file in the guest."""
        text = base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()
        self.ok(f": >{path}")
        for at in range(0, len(text), CHUNK):
            self.ok(f"echo {text[at:at + CHUNK]} | base64 -d >>{path}")

    def problems(self):
        """Lines of the kernel's log that speak of trouble."""
        return self.run("dmesg | grep -E 'cut here|BUG:|Oops|Call Trace|lockup|I/O error'").text
