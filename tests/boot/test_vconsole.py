# SPDX-License-Identifier: Apache-2.0
"""The virtio console with a Linux guest: a shell on hvc0, named ports, the audit of sessions."""

import re

import pytest

from conftest import build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import CONSOLE_LEAVE, PROMPT, Shell

CONF = """
[vm c]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=hvc0 quiet
memory = 256M
console = agent,log=audit
"""


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    """A machine whose VM `c` has booted with its console on port 0."""
    iso = build_image(tmp_path_factory.mktemp("vconsole"), [], CONF,
                      [images.CLOUD_KERNEL, images.INITRD])
    shell = Shell(boot("test_vconsole", iso=iso, cpus=2, memory=1024)).wait_ready()
    start(shell, "c")
    with Guest(shell, "c:console", booting=True) as guest:
        guest.ready()
    return shell


def attach(shell, port):
    shell.machine.send_line(f"vm console c:{port}")
    shell.machine.expect("Ctrl-] leaves.", 30)


def leave(shell):
    shell.machine.send(CONSOLE_LEAVE)
    shell.machine.expect(PROMPT, 30)


def test_shell_on_hvc0(shell, show):
    with Guest(shell, "c:0") as guest:
        assert guest.ok("tty") == "/dev/hvc0"
        names = guest.ok("cd /sys/class/virtio-ports; grep . */name")
        show(names)
        assert re.findall(r"^(\w+)/name:(\w+)$", names, re.M) == [
            ("vport0p0", "console"), ("vport0p1", "agent"), ("vport0p2", "audit")]
        # Longer than a turn of the queue, and than the input that may wait.
        assert len(guest.ok("seq 1 3000").split()) == 3000
        assert guest.ok("echo " + "x" * 800) == "x" * 800
        assert guest.problems() == ""


def test_named_port_echoes(shell):
    with Guest(shell, "c:console") as guest:
        assert guest.run("timeout 5 head -c 1 /dev/vport0p1").text == ""  # nobody is there
        guest.spawn("exec 3<>/dev/vport0p1; while :; do cat <&3 >&3; sleep 0.1; done")
    attach(shell, "agent")
    shell.machine.send("to the agent\n")
    shell.machine.expect("to the agent", 30)
    leave(shell)
    said = shell.run("log show --tag=console").text
    assert re.search(r"session ends vm=c port=agent by=shell why=left ms=\d+ bytes_in=13 "
                     r"bytes_out=13", said), said
    assert "to the agent" in shell.run("vm log c:agent").text


def test_log_port_takes_what_nobody_reads(shell):
    with Guest(shell, "c:console") as guest:
        guest.ok("echo one line >/dev/vport0p2", 20)
        guest.ok("seq 1 1000 >/dev/vport0p2", 60)
    text = shell.run("vm log c:audit", 60).text
    assert text.split("\n")[0] == "one line"
    assert [int(n) for n in text.split()[2:]] == list(range(1, 1001))
    assert shell.run("vm log c:2", 60).text == text


def test_errors_say_what_to_do(shell):
    for line, needle in (
        ("vm console c:none", "there are: serial, console, agent, audit"),
        ("vm log c:3", "'c' has no port '3'"),
        ("vm console d:agent", "no VM 'd'"),
        ("vm console c:agent --size=80", "as 80x24"),
    ):
        result = shell.run(line)
        assert result.status != 0 and needle in result.text, result.text


def test_rebuild_and_reset(shell):
    """Typing, the open port and the output go over a rebuild; a reset begins anew."""
    with Guest(shell, "c:console") as guest:
        guest.ok("echo before >/dev/vport0p2")
    assert shell.run("vm rebuild c", 60).status == 0
    with Guest(shell, "c:console") as guest:
        guest.ok("echo behind >/dev/vport0p2")
    assert shell.run("vm log c:audit", 60).text.split()[-2:] == ["before", "behind"]
    attach(shell, "agent")
    shell.machine.send("still there\n")
    shell.machine.expect("still there", 30)
    leave(shell)
    assert shell.run("vm reset c", 60).status == 0
    attach(shell, "console")
    shell.machine.expect("GUEST:READY", images.BOOT)
    leave(shell)
    with Guest(shell, "c:console") as guest:
        assert guest.problems() == ""
        guest.ends("poweroff")
