# SPDX-License-Identifier: Apache-2.0
"""The image boots from CD and USB, and a damaged image is named and leaves a prompt."""

import subprocess

from conftest import TOP

KERNEL_LOADED = "RAYOS_BOOT_MARKER:KERNEL_LOADED"
CONF = "[boot]\nmodule = data.bin\n"


def build(folder, conf=CONF, kernel=None, module=b"data"):
    """An image with our loader and whatever else the test wants on it."""
    (folder / "rayos.conf").write_text(conf)
    (folder / "data.bin").write_bytes(module)
    command = [TOP / "scripts/mkiso", "--conf", folder / "rayos.conf", "--no-check",
               "--module", folder / "data.bin", "-o", folder / "test.iso"]
    if kernel is not None:
        (folder / "bad.elf").write_bytes(kernel)
        command += ["--kernel", folder / "bad.elf"]
    subprocess.run(command, check=True)
    return folder / "test.iso"


def test_usb_stick_with_tpm_and_without_gop(boot):
    target = boot("loader-usb", usb=True, tpm=True, gop=False, reboot=False)
    target.expect(KERNEL_LOADED, 120)
