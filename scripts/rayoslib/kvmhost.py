# SPDX-License-Identifier: Apache-2.0
"""A Linux with KVM in an emulated machine, to compare RayOS with (scripts/bench-kvm).

The machine is the one that RayOS runs on (machine.py). Its Linux is the test guests' cloud kernel;
QEMU, dmsetup and mke2fs are this system's own, with the libraries they need.
"""

import re
import shutil
import subprocess
from pathlib import Path

from .machine import TOP, Config, MachineError, Qemu

FOLDER = TOP / "build/kvm"
INITRD = FOLDER / "initrd.img"
KERNEL = TOP / "build/deps/linux/vmlinuz"
INIT = TOP / "tests/bench/kvm-init"
MODULES = ("kvm_amd", "dm_thin_pool")
PROGRAMS = ("qemu-system-x86_64", "qemu-img", "dmsetup", "mke2fs")
# Under /usr/share: what QEMU loads for a machine without a screen.
SHARED = ("seabios/bios-256k.bin", "qemu/kvmvapic.bin", "qemu/multiboot.bin",
          "qemu/multiboot_dma.bin")
# Times are counts of instructions: the TSC that counts them is to be the kernel's clock.
CMDLINE = "console=ttyS0 quiet mitigations=off tsc=reliable clocksource=tsc"
PROMPT = "kvm# "
BOOT = 600  # seconds on a busy host


def program_path(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        raise MachineError(f"{name} is not installed (apt-get install qemu-system-x86 qemu-utils "
                           "dmsetup e2fsprogs)")
    return Path(path)


def libraries(program):
    """Paths of the shared libraries that a program loads, and of its interpreter."""
    text = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE).stdout.decode()
    return {Path(path) for path in re.findall(r"(/\S+) \(0x", text)}


def collect(usr):
    """Fill a folder, to be /usr: the programs, their libraries, what QEMU loads."""
    shutil.rmtree(usr, ignore_errors=True)
    for name in ("bin", "lib/x86_64-linux-gnu", "lib64", "share/seabios", "share/qemu"):
        (usr / name).mkdir(parents=True)
    for name in PROGRAMS:
        path = program_path(name)
        shutil.copy(path, usr / "bin" / name)
        for library in libraries(path):
            place = "lib64" if library.parent.name == "lib64" else "lib/x86_64-linux-gnu"
            shutil.copy(library, usr / place / library.name)
    for name in SHARED:
        shutil.copy(Path("/usr/share") / name, usr / "share" / name)


def collect_modules(modules):
    """KVM and thin volumes out of the package that the kernel is from."""
    package = next(TOP.glob("build/deps/archives/linux-image-*-cloud-amd64_*.deb"), None)
    if package is None:
        raise MachineError("the kernel's package is not in build/deps/archives (scripts/setup)")
    shutil.rmtree(modules, ignore_errors=True)
    unpacked = FOLDER / "package"
    subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
    subprocess.run([TOP / "scripts/kmods", "--root", unpacked, "-o", modules, *MODULES], check=True)
    shutil.rmtree(unpacked)


def make_initrd(*guests):
    """The whole system; guests lie in /usr/guests."""
    usr, modules = FOLDER / "usr", FOLDER / "modules"
    collect(usr)
    collect_modules(modules)
    (usr / "guests").mkdir()
    for guest in guests:
        shutil.copy(guest, usr / "guests" / guest.name)
    subprocess.run([TOP / "scripts/mkinitrd", "--busybox", TOP / "build/deps/busybox/busybox",
                    "--init", INIT, "--modules", modules, "--tree", f"usr={usr}", "-o", INITRD],
                   check=True)


class Host(Qemu):
    """The machine with that Linux, and its shell at the serial line."""

    def __init__(self, extra=()):
        super().__init__(Config(backend="svm", iso=KERNEL, icount=True, gop=False, memory=2048,
                                extra=list(extra)))
        self.kernel = None

    def _image(self):
        return ["-kernel", str(KERNEL), "-initrd", str(INITRD), "-append", CMDLINE]

    def ready(self):
        self.kernel = self.expect(re.compile(r"KVM:READY kernel=(\S+)"), BOOT).group(1)
        self.expect(PROMPT)

    def ok(self, line, timeout=120):
        """Type a command that must succeed; its output."""
        begin = len(self.log)
        self.send_line(f"{line}; echo KVM:'EXIT' $?")
        status = int(self.expect(re.compile(r"KVM:EXIT (\d+)\r"), timeout).group(1))
        text = self.text(begin)
        self.expect(PROMPT)
        if status:
            raise MachineError(f"{line!r} ended with {status}: {text}")
        return text
