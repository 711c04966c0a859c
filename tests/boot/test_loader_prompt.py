# SPDX-License-Identifier: Apache-2.0
"""What the loader says to an image with something missing or damaged on it."""

import subprocess

import pytest

from conftest import TOP

KERNEL = TOP / "build/kernel-image.elf"
PROMPT = "RAYOS_BOOT_MARKER:LOADER_PROMPT"
READY = "loader> "
KERNEL_LOADED = "RAYOS_BOOT_MARKER:KERNEL_LOADED"
BOOT_TIMEOUT = 120


def image(folder, kernel, conf=None, modules=()):
    """A bare FAT volume, as a USB stick without partitions is; None leaves a file out."""
    volume = folder / "volume.img"
    with open(volume, "wb") as out:
        out.truncate(48 << 20)
    subprocess.run(["mformat", "-i", volume, "::"], check=True)
    subprocess.run(["mmd", "-i", volume, "::/EFI", "::/EFI/BOOT", "::/rayos"], check=True)
    files = [("EFI/BOOT/BOOTX64.EFI", (TOP / "build/BOOTX64.EFI").read_bytes()),
             ("rayos/kernel.elf", kernel), ("rayos/rayos.conf", conf), *modules]
    for name, content in files:
        if content is not None:
            (folder / "file").write_bytes(content)
            subprocess.run(["mcopy", "-i", volume, folder / "file", f"::/{name}"], check=True)
    return volume


def start(boot, name, volume, **fields):
    return boot(name, iso=volume, usb=True, memory=512, reboot=False, **fields)


def test_missing_kernel_leaves_a_usable_prompt(boot, tmp_path):
    target = start(boot, "loader-no-kernel", image(tmp_path, None))
    target.expect("RAYOS_BOOT_MARKER:LOADER_STARTED version=", BOOT_TIMEOUT)
    target.expect("rayos/rayos.conf: not found")
    target.expect("error: rayos/kernel.elf: not found")
    target.expect(f"{PROMPT} reason=kernel_missing")
    target.expect(READY)
    target.send("l")
    target.expect("BOOTX64.EFI")
    target.expect(READY)
    target.send("?")  # no such key: the help again
    target.expect("p power off")
    target.expect(READY)
    target.send("r")
    target.expect(f"{PROMPT} reason=kernel_missing")
    target.expect(READY)
    target.send("p")
    assert target.wait_exit(30), "the machine is still on"


@pytest.mark.parametrize("what, damage, message", [
    ("truncated", lambda elf: elf[:len(elf) // 2], "segment outside the file"),
    ("class", lambda elf: elf[:4] + b"\x01" + elf[5:], "ELF class is not 64-bit"),
], ids=["truncated", "class"])
def test_damaged_kernel_is_named(boot, tmp_path, what, damage, message):
    volume = image(tmp_path, damage(KERNEL.read_bytes()), b"[boot]\n")
    target = start(boot, f"loader-{what}", volume)
    target.expect("error: rayos/kernel.elf: ", BOOT_TIMEOUT)
    target.expect(message, 5)
    target.expect(f"{PROMPT} reason=kernel_damaged", 5)
    target.expect(READY)
    target.send("b")
    assert target.wait_exit(30), "the machine did not reset"


def test_missing_module_and_bad_settings_do_not_stop_the_boot(boot, tmp_path):
    conf = (b"[boot]\nmodule = here.bin\nmodule = gone.bin\nmodule = ../rayos/here.bin\n"
            b"module = long-" + b"x" * 70 + b"\nkaslr = perhaps\nnot a line\n")
    volume = image(tmp_path, KERNEL.read_bytes(), conf, [("rayos/here.bin", b"0123456789")])
    target = start(boot, "loader-modules", volume, gop=False)
    target.expect("warning: rayos/rayos.conf: line 6: kaslr is neither on nor off", BOOT_TIMEOUT)
    target.expect("warning: rayos/rayos.conf: line 7: ")
    target.expect("module: here.bin")
    target.expect("warning: module gone.bin: not found")
    target.expect("warning: module ../rayos/here.bin: ")
    target.expect("warning: module long-")
    target.expect(KERNEL_LOADED, 30)
