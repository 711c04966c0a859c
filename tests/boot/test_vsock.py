# SPDX-License-Identifier: Apache-2.0
"""vsock with a Linux guest: the host's services, what the host opens in the guest, a restore."""

import json
import re
import time

import pytest

from conftest import build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import CONSOLE_LEAVE, PROMPT, Shell

CONNECT = re.compile("Connected to 's' port 5000|nothing in 's' listens on vsock port 5000")
CONF = """
[vm s]
kernel = vmlinuz
initrd = test-tools-initrd.img
cmdline = console=ttyS0 quiet
memory = 256M
vsock = cid=42
[vm none]
kernel = vmlinuz
memory = 64M
"""


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    """A machine whose VM `s` has booted."""
    iso = build_image(tmp_path_factory.mktemp("vsock"), [], CONF,
                      [images.CLOUD_KERNEL, images.INITRD_TOOLS])
    shell = Shell(boot("test_vsock", iso=iso, cpus=2, memory=1536)).wait_ready()
    start(shell, "s")
    with Guest(shell, "s", booting=True) as guest:
        guest.ready()
    return shell


def connect(shell, text):
    """Send a line to the echo in the guest and see it come back; it may not listen yet."""
    for _ in range(30):
        shell.machine.send_line("vm connect s 5000")
        if "Connected" in shell.machine.expect(CONNECT, 30).group():
            break
        shell.machine.expect(PROMPT, 30)
        time.sleep(1)
    shell.machine.send(f"{text}\n")
    shell.machine.expect(text, 30)
    shell.machine.send(CONSOLE_LEAVE)
    shell.machine.expect(PROMPT, 30)


def test_services(shell, show):
    with Guest(shell, "s") as guest:
        assert guest.ok("vsock cid") == "42"
        assert guest.ok("echo hello | vsock connect 2 7") == "hello"
        # Many times what either side holds.
        guest.ok("head -c 200000 /dev/urandom >/root/sent")
        guest.ok("vsock connect 2 7 </root/sent >/root/back && cmp /root/sent /root/back", 120)
        info = json.loads(guest.ok("vsock connect 2 1024 </dev/null"))
        show(json.dumps(info))
        assert info["hypervisor"] == "RayOS" and info["vm"] == "s"
        assert abs(info["time_ns"] / 1e9 - time.time()) < 86400
        assert guest.run("vsock connect 2 99 </dev/null").status != 0
        assert guest.problems() == ""
    said = shell.run("log show --tag=vsock").text
    assert re.search(r"stream ends vm=s service=echo guest_port=\d+ ms=\d+ bytes_in=200000 "
                     r"bytes_out=200000", said), said


def test_host_connects(shell):
    with Guest(shell, "s") as guest:
        guest.spawn("vsock echo 5000")
    connect(shell, "first time")
    connect(shell, "second time")
    said = shell.run("log show --tag=console").text
    assert re.search(r"session ends vm=s vsock_port=5000 by=shell why=left ms=\d+ bytes_in=11 "
                     r"bytes_out=11", said), said


def test_errors_say_what_to_do(shell):
    for line, needle in (
        ("vm connect s 6000", "nothing in 's' listens on vsock port 6000"),
        ("vm connect none 1", "`vm start none` first"),
        ("vm connect s x", "PORT: 'x' is no number"),
        ("vm connect t 1", "no VM 't'"),
        ("vm define u kernel=vmlinuz vsock=cid=2", "cid"),
    ):
        result = shell.run(line)
        assert result.status != 0 and needle in result.text, result.text


def test_rebuild_resets_streams(shell):
    """What was connected ends on both sides; what listens goes on."""
    with Guest(shell, "s") as guest:
        job = guest.spawn("sleep 1000 | vsock connect 2 7")
        guest.ok("sleep 1")
    assert shell.run("vm rebuild s", 60).status == 0
    with Guest(shell, "s") as guest:
        guest.ok("killall sleep")
        assert re.search("reset|not connected", guest.join(job, 30).text)
        assert guest.ok("echo anew | vsock connect 2 7") == "anew"
        assert guest.problems() == ""
    connect(shell, "still there")
