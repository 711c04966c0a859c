# SPDX-License-Identifier: Apache-2.0
"""A whole Debian with systemd on a volume, on each kind of disk of the host: it configures itself
from the definition (cloud-init), fio verifies what it wrote, before and after a discard and a
restart.

At full size only (RAYOS_SOAK=1): `make debian-image` takes debootstrap, root and minutes. The
disks named in RAYOS_DEBIAN_DISKS alone, where that is set; RAYOS_DEBIAN_MIB is for trying it out.
"""

import os
import re
import subprocess

import pytest

from conftest import SMP, TOP, build_image
from rayoslib import guest as images
from rayoslib.disks import store_image
from rayoslib.guest import Guest
from rayoslib.shell import ANSI, Shell

FULL = os.environ.get("RAYOS_SOAK") == "1"
FIO_MIB = int(os.environ.get("RAYOS_DEBIAN_MIB", "512"))
BOOT = 1800
LONG = 7200
IMAGE = TOP / "build/guest/debian.img"
INITRD = TOP / "build/guest/debian-initrd.img"
DISKS = {"nvme0n1": "nvme,serial=NV", "sda": "scsi-hd,bus=scsi.0,serial=SC",
         "sdb": "ide-hd,bus=ide.0,serial=AH", "vda": "virtio-blk-pci,serial=VB",
         "usba": "usb-storage,bus=xhci.0,serial=US"}
CHOSEN = os.environ.get("RAYOS_DEBIAN_DISKS", " ".join(DISKS)).split()
HOST, USER, WORD = "vault", "ada", "enchantress"
HASH = ("$6$analytical$tA9/mHFuzhPm5UMnXBLO/XYxAyVt/0jALhFY"
        "4f5SsOCpHK/F1tVzhaCNZMV93Vf.MtM5zGuj501j.7NtO.15i/")  # of WORD
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBf3Zk0Gq2mCqQ0p4yqgB6nqg1j8z5wC2y0oJtq0f1aa ada@engine"
FIO = ("fio --eta=never --name=v --directory=/var/tmp --rw=randwrite --bs=16k --direct=1 "
       f"--verify=crc32c --ioengine=libaio --iodepth=16 --size={FIO_MIB}M")

pytestmark = pytest.mark.skipif(not FULL, reason="full size only (make soak)")


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    subprocess.run(["make", "-s", "-C", TOP, "debian-image"], check=True)
    iso = build_image(tmp_path_factory.mktemp("iso"), [], "", [images.CLOUD_KERNEL, INITRD])
    folder = tmp_path_factory.mktemp("disks")
    extra = ["-device", "virtio-scsi-pci,id=scsi", "-device", "qemu-xhci,id=xhci"]
    for name in CHOSEN:
        disk = store_image(folder / f"{name}.img", 4096)
        extra += ["-drive", f"if=none,id={name},format=raw,cache=writeback,discard=unmap,"
                  f"file={disk}", "-device", f"{DISKS[name]},drive={name}"]
    extra += ["-drive", f"if=none,id=source,format=raw,readonly=on,file={IMAGE}",
              "-device", "virtio-blk-pci,serial=source,drive=source"]
    return Shell(boot("debian", iso=iso, cpus=SMP, memory=3072, extra=extra)).wait_ready()


def log_in(machine, said):
    """From `login:` to a shell whose prompt is the test guests'."""
    machine.expect(rf"{HOST} login:", BOOT)
    said.append(machine.text())
    machine.send_line(USER)
    machine.expect(r"Password:", 120)
    machine.send_line(WORD)
    machine.expect(re.compile(rf"{USER}@{HOST}:[^\n]*\$ "), 300)
    machine.send_line("exec sudo env PS1='guest''# ' TERM=dumb sh")
    machine.expect(r"guest# ", 120)


@pytest.mark.parametrize("disk", CHOSEN)
def test_debian_on_a_volume(shell, show, disk):
    machine, said = shell.machine, []
    store = f"{disk}p1" if disk.startswith("nvme") else f"{disk}1"
    source = next(row["name"] for row in shell.listing("disk list") if row["serial"] == "source")
    shell.ok(f"volume format {store} --yes", 120)
    show(shell.ok(f"volume import {store}:root {source}", LONG))
    shell.ok(f"vm define {disk} kernel=vmlinuz initrd=debian-initrd.img memory=768M vcpus=2 "
             f"\"cmdline=console=ttyS0 root=LABEL=debian-root\" disk=volume={store}:root,serial=root "
             f"hostname={HOST} user={USER} password={HASH} \"ssh-key={KEY}\"")
    shell.ok(f"vm start {disk}", 120)
    with Guest(shell, disk, booting=True) as guest:
        log_in(machine, said)
        assert "Welcome to Debian" in ANSI.sub("", said[0])
        assert guest.ok("hostname") == HOST
        assert KEY in guest.ok(f"cat /home/{USER}/.ssh/authorized_keys", 120)
        state = guest.run("cloud-init status --wait", 600).text
        guest.ok("until systemd-analyze >/dev/null 2>&1; do sleep 1; done", 600)
        show(guest.ok("systemd-analyze; systemctl --no-pager --failed; cloud-init status", 300))
        assert "done" in state
        report = guest.ok(FIO, LONG)
        images.fio_show(show, report)
        assert "err= 0" in report
        show(guest.ok("sync; fstrim -v /; echo 3 >/proc/sys/vm/drop_caches", 600))
        machine.send_line("systemctl reboot")
        log_in(machine, said)
        report = guest.ok(f"{FIO} --verify_only", LONG)
        images.fio_show(show, report)
        assert "err= 0" in report
        assert not guest.problems()
        guest.ends("systemctl poweroff", BOOT)
    info = shell.run(f"disk info {disk} --json").json
    assert info["errors"] == 0 and info["write_ops"] > 0 and info["flush_ops"] > 0
    check = shell.run(f"volume check {store} --json", 600).json
    show(shell.ok("volume list"))
    assert check["wrong"] == 0
