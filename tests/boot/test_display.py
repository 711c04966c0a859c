# SPDX-License-Identifier: Apache-2.0
"""A guest's display, keyboard and pointers, with Debian's generic kernel and its own drivers."""

import base64
import re
import zlib

import pytest

from conftest import build_image
from rayoslib import guest as images
from rayoslib import png
from rayoslib.files import Catcher, store
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

WIDTH, HEIGHT = 1024, 768
CONF = f"""
[vm desk]
kernel = vmlinuz
initrd = generic-tools-initrd.img
cmdline = console=ttyS0 quiet
memory = 512M
gpu = size={WIDTH}x{HEIGHT}
input = keyboard
input = tablet
input = mouse
"""
EV_KEY, EV_REL, EV_ABS = 1, 2, 3
SHIFT = 42
# Letters and digits in the order of the keys, from the code on.
ROWS = {2: "1234567890-=", 16: "qwertyuiop[]", 30: "asdfghjkl;'`", 43: "\\zxcvbnm,./", 57: " "}
CODES = {c: first + i for first, row in ROWS.items() for i, c in enumerate(row)}


# ---- the files' way, without a machine -------------------------------------------------

def sent(name, data, crc=None):
    text = base64.b64encode(data).decode()
    lines = [text[i:i + 76] for i in range(0, len(text), 76)]
    return [f"RAYOS_FILE:BEGIN name={name} size={len(data)} encoding=base64", *lines,
            f"RAYOS_FILE:END name={name} crc32={zlib.crc32(data) if crc is None else crc:08x}"]


def caught(lines, step):
    """What a catcher makes of lines that come in pieces of some size."""
    files = []
    catcher = Catcher(lambda *f: files.append(f), lambda name, why: files.append((name, why)))
    stream, shown = "\r\n".join(lines + ["rayos> "]).encode(), b""
    for at in range(0, len(stream), step):
        shown += catcher.feed(stream[at:at + step])
    return files, shown.decode().split("\r\n")


@pytest.mark.parametrize("step", [1, 7, 77, 10000])
def test_files_are_caught(step):
    data = bytes(range(256)) * 3
    lines = sent("a.png", data)
    files, shown = caught(["rayos> vm screenshot a", *lines, "said"], step)
    assert files == [("a.png", data)]
    assert shown == ["rayos> vm screenshot a", lines[0], lines[-1], "said", "rayos> "]
    # Lines of others in the middle; an empty file; one of a single short line.
    files, shown = caught(lines[:4] + ["[   12.5] tag: said", "a.png: 40 % sent"] + lines[4:], step)
    assert files == [("a.png", data)] and "[   12.5] tag: said" in shown
    assert caught(sent("b.png", b"") + sent("c.png", b"x"), step)[0] == [
        ("b.png", b""), ("c.png", b"x")]
    # Damaged, cut, canceled, and the next one is well.
    good = sent("z.png", b"good")
    for bad, why in [(sent("a.png", data, 1), "damaged on its way"),
                     (lines[:5] + lines[6:], "damaged on its way"),
                     (lines[:5], "its end is missing"),
                     (lines[:5] + ["RAYOS_FILE:CANCELED name=a.png"], "canceled")]:
        assert caught(bad + good, step)[0] == [("a.png", why), ("z.png", b"good")]


def test_names_of_files(tmp_path):
    assert store(tmp_path, "a.png", b"1").name == "a.png"
    assert store(tmp_path, "a.png", b"2").name == "a-2.png"
    assert store(tmp_path, "a.png", b"3", overwrite=True).read_bytes() == b"3"
    for name in ("../a.png", "a/b", ".a", "", "-a", "a b"):
        with pytest.raises(ValueError):
            store(tmp_path, name, b"")


# ---- with a guest ----------------------------------------------------------------------

@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    iso = build_image(tmp_path_factory.mktemp("display"), [], CONF,
                      [images.GENERIC_KERNEL, images.GENERIC_INITRD_TOOLS])
    shell = Shell(boot("display", iso=iso, cpus=2, memory=2048)).wait_ready()
    start(shell, "desk")
    with Guest(shell, "desk", booting=True) as guest:
        guest.ready()
    return shell


def screenshot(shell):
    name, data = shell.file("vm screenshot desk", 300)
    assert name == "desk.png"
    return (*png.decode(data), len(data))


def test_drivers(shell, show):
    with Guest(shell, "desk") as guest:
        show(guest.ok("lspci -nn; cat /sys/class/input/event*/device/name; "
                      "cat /sys/class/drm/card0-Virtual-1/modes | head -3"))
        edid = guest.ok("od -An -tx1 -v /sys/class/drm/card0-Virtual-1/edid")
    block = bytes.fromhex("".join(edid.split()))
    assert len(block) == 128 and sum(block) % 256 == 0
    for device in ("gpu0", "input0", "input1", "input2"):
        assert f"RAYOS_DEVICE:READY vm=desk device={device}" in shell.machine.text()


@pytest.fixture(scope="module")
def card(shell):
    """The test card on the guest's screen."""
    with Guest(shell, "desk") as guest:
        job = guest.spawn(f"card {WIDTH} {HEIGHT}")
        guest.ok(f"until grep -q . {job.base}.out; do sleep 0.2; done", 120)
        assert guest.ok(f"cat {job.base}.out") == f"card: {WIDTH}x{HEIGHT}"
    return images.test_card(WIDTH, HEIGHT)


def test_screenshot_is_what_the_guest_drew(shell, card, show):
    width, height, pixels, size = screenshot(shell)
    show(f"{width} x {height}, {size} bytes")
    assert (width, height) == (WIDTH, HEIGHT)
    assert pixels == card


def test_screen_lives_through_a_rebuild(shell, card, show):
    show(shell.ok("vm rebuild desk", 120))
    assert screenshot(shell)[2] == card
    with Guest(shell, "desk") as guest:
        assert not guest.problems()
        guest.ok("kill $(pidof card)")
        show(guest.ok(f"card {WIDTH} {HEIGHT} >/dev/null & sleep 5; kill $!; dmesg | tail -3", 120))
    show(shell.ok("device status desk"))


def typed(text):
    """Key events of a text as (code, value)."""
    events = []
    for c in text:
        shift = c.isupper()
        events += [(SHIFT, 1)] if shift else []
        events += [(CODES[c.lower()], 1), (CODES[c.lower()], 0)]
        events += [(SHIFT, 0)] if shift else []
    return events


def absolute(pixel, pixels):
    return (2 * pixel + 1) * 32768 // (2 * pixels)


def listen(shell):
    """Begin to note events in the guest."""
    with Guest(shell, "desk") as guest:
        job = guest.spawn("events 10")
        guest.ok(f"until grep -q ready {job.base}.out; do sleep 0.2; done", 60)
    return job


def noted(shell, job):
    """Events by the name of their device, in order; a key's repetitions are the guest's own."""
    with Guest(shell, "desk") as guest:
        text = guest.join(job, 120).text
    assert "dropped" not in text
    names = dict(re.findall(r"^device (\d+) (.*)$", text, re.M))
    events = {name: [] for name in names.values()}
    for line in text.split("ready\n", 1)[1].splitlines():
        device, kind, code, value = line.split()
        if (int(kind), int(value)) != (EV_KEY, 2):
            events[names[device]].append((int(kind), int(code), int(value)))
    return events


def test_keys_and_pointers_arrive_in_order(shell, show):
    job = listen(shell)
    text = "The quick brown fox jumps over the lazy dog, 0123456789 times." * 3
    shell.ok("vm key desk ctrl-alt-f2 a shift+b")
    shell.ok(f"vm type desk '{text}'", 120)
    points = [(i * 37 % WIDTH, i * 23 % HEIGHT) for i in range(1, 40)]
    for x, y in points:
        shell.ok(f"vm pointer desk {x} {y}")
    shell.ok("vm pointer desk 500 400 left")
    shell.ok("vm pointer desk +10 -7 wheelup")
    events = noted(shell, job)
    show("\n".join(f"{name}: {len(seen)} events" for name, seen in events.items()))
    keys = [(29, 1), (56, 1), (60, 1), (60, 0), (56, 0), (29, 0), (30, 1), (30, 0),
            (42, 1), (48, 1), (48, 0), (42, 0)] + typed(text)
    assert [(c, v) for kind, c, v in events["RayOS keyboard"] if kind == EV_KEY] == keys
    want = []
    for x, y in [*points, (500, 400)]:
        want += [(EV_ABS, 0, absolute(x, WIDTH)), (EV_ABS, 1, absolute(y, HEIGHT))]
    assert events["RayOS tablet"] == want + [(EV_KEY, 0x110, 1), (EV_KEY, 0x110, 0)]
    assert events["RayOS mouse"] == [(EV_REL, 0, 10), (EV_REL, 1, -7), (EV_REL, 8, 1)]


def test_input_over_a_pause_and_a_rebuild(shell):
    job = listen(shell)
    shell.ok("vm pause desk")
    shell.ok("vm type desk abc")
    shell.ok("vm rebuild desk", 120)
    shell.ok("vm resume desk")
    shell.ok("vm type desk def")
    events = noted(shell, job)
    assert [(c, v) for _, c, v in events["RayOS keyboard"]] == typed("abcdef")


def test_lights(shell):
    shell.ok("vm key desk capslock")
    for _ in range(50):
        if "caps" in shell.ok("device status desk"):
            break
    assert re.search(r"keyboard,.*caps", shell.ok("device status desk"))
    shell.ok("vm key desk capslock")


def test_what_cannot_be_is_said(shell):
    for line, says in [("vm screenshot nobody", "no VM 'nobody'"),
                       ("vm key desk ctrl-foo", "no key 'foo' in 'ctrl-foo'"),
                       ("vm type desk 'a\u00e4'", "no key makes"),
                       ("vm pointer desk 5000 1", "the screen is "),
                       ("vm pointer desk 1 1 up", "'up' is none of left, right")]:
        result = shell.run(line)
        assert result.status != 0 and says in result.text, line
    shell.ok("vm kill desk")
    for line in ("vm screenshot desk", "vm key desk a"):
        assert shell.run(line).status != 0
