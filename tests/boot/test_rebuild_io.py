# SPDX-License-Identifier: Apache-2.0
"""Debian's stock kernel and its own virtio drivers on every device at once, under SVM in QEMU:
all are found, and all go on when the machine is taken apart and put together in mid-work.

Each kind has a module of its own besides; this one is about all of them in one guest. It takes
half an hour and more, so it runs at full size (RAYOS_SOAK=1) only.
"""

import os
import re
import shutil
import time

import pytest

from conftest import SMP, build_image
from rayoslib import guest as images
from rayoslib.guest import Guest, start
from rayoslib.shell import Shell

SOAK = os.environ.get("RAYOS_SOAK") == "1"
pytestmark = pytest.mark.skipif(not SOAK, reason="rebuilds beside work on every device: full size only (make soak)")
FIO_MIB = 64  # a round
REBUILDS = 20
MEMORY = 384  # MiB
ROUND = 3600  # seconds that a round of fio may take on a busy host
CONF = f"""
[vm linux]
kernel = generic
initrd = generic-initrd.img
cmdline = console=ttyS0 quiet ip4=10.0.0.1/24
memory = {MEMORY}M
vcpus = 2
disk = module=tools.img,ro,serial=tools
disk = ram={FIO_MIB + 64}M,serial=data
net-rate = unlimited
net =
console = agent,log=audit
rng =
balloon =
vsock =
input = keyboard
input = tablet
gpu = size=640x480
[vm peer]
kernel = vmlinuz
initrd = test-initrd.img
cmdline = console=ttyS0 quiet ip4=10.0.0.2/24
memory = 192M
disk = module=tools.img,ro,serial=tools
net-rate = unlimited
net =
"""
# Of lspci -nn: how often each ID is there.
DEVICES = {"1af4:1041": 1, "1af4:1042": 2, "1af4:1043": 1, "1af4:1044": 1, "1af4:1045": 1,
           "1af4:1050": 1, "1af4:1052": 2, "1af4:1053": 1}
# What keeps each device busy until /tmp/stop is there; whatever goes wrong ends it with an error.
JOBS = {
    "disk1": f"""
        fio --name=v --directory=/mnt --size={FIO_MIB}M --rw=randwrite --bs=4k-64k --direct=1 \
            --ioengine=io_uring --iodepth=16 --verify=crc32c --verify_backlog=64 \
            --verify_state_save=0 >/tmp/fio 2>&1 && grep -q 'err= 0' /tmp/fio ||
            {{ cat /tmp/fio; exit 1; }}""",
    "rng0": "dd if=/dev/hwrng bs=64 count=1 of=/dev/null 2>/dev/null || exit 1",
    "console0": "echo $n >$PORT; sleep 0.02",
    # A restore ends the streams, and the guest hears of it; what comes back comes back right.
    "vsock0": """
        if vsock connect 2 7 </tools/bin/card >/tmp/back 2>/tmp/why; then
            cmp /tools/bin/card /tmp/back || exit 1
        else
            grep -qE 'reset|not connected|timed out' /tmp/why || { cat /tmp/why; exit 1; }
        fi""",
    "gpu0": "timeout 1 card 640 480; [ $? -ge 128 ] || exit 1",
}
# In a script sh takes its own ping, which has no -f.
PEER = "/tools/bin/ping -q -f -c 100 -s 1400 10.0.0.1 >/tmp/ping || { cat /tmp/ping; exit 1; }"
LOOP = "n=0\nuntil [ -e /tmp/stop ]; do\n\tn=$((n + 1))\n\t{}\ndone\necho turns $n\n"


@pytest.fixture(scope="module")
def shell(boot, tmp_path_factory):
    folder = tmp_path_factory.mktemp("virtio")
    shutil.copy(images.GENERIC_KERNEL, folder / "generic")
    iso = build_image(folder, [], CONF, [folder / "generic", images.GENERIC_INITRD,
                                         images.CLOUD_KERNEL, images.INITRD, images.TOOLS])
    shell = Shell(boot("virtio_linux", iso=iso, cpus=SMP, memory=2048)).wait_ready()
    for name in ("linux", "peer"):
        start(shell, name)
        with Guest(shell, name, booting=True) as guest:
            guest.ready()
    return shell


def states(shell):
    return {row["state"] for row in shell.run("device status linux --json").json}


def test_every_device_is_found(shell, show):
    with Guest(shell, "linux") as guest:
        listing = guest.ok("lspci -nn")
        bus = guest.ok("for d in /sys/bus/virtio/devices/*; do "
                       "echo $(cat $d/device) $(basename $(readlink $d/driver)) $(cat $d/status) "
                       "$(basename $d); done")
        assert not guest.problems()
    show(listing + "\n" + bus)
    for ids, count in DEVICES.items():
        assert listing.count(ids) == count, ids
    rows = bus.splitlines()
    assert len(rows) == sum(DEVICES.values())
    for row in rows:
        assert re.fullmatch(r"0x\w+ \w*virtio_\w+ 0x0000000f virtio\d+", row), row
    assert states(shell) == {"ready"}


def test_random_numbers(shell, show):
    with Guest(shell, "linux") as guest:
        assert "virtio_rng" in guest.ok("cat /sys/class/misc/hw_random/rng_current")
        samples = [guest.ok("dd if=/dev/hwrng bs=512 count=1 2>/dev/null | md5sum") for _ in "ab"]
        show(guest.ok("grep virtio /proc/interrupts"))
        assert not guest.problems()
    assert samples[0] != samples[1]


def loop(guest, name, body):
    """A job that does @body again and again until it is told to stop."""
    guest.put(f"/tmp/{name}.sh", LOOP.format(body))
    return guest.spawn(f"sh /tmp/{name}.sh")


def ended(guest, jobs):
    """Tell the jobs to stop; how often each did its work, all without an error."""
    assert guest.run("ls /tmp/job.*.status").status, "a job ended before it should"
    guest.ok("touch /tmp/stop")
    results = {name: guest.join(job, ROUND) for name, job in jobs.items()}
    assert all(done.status == 0 for done in results.values()), results
    return {name: int(re.search(r"turns (\d+)", done.text).group(1))
            for name, done in results.items()}


def operations(shell):
    return {row["device"]: row["ops"] for row in shell.run("device stats linux --json").json}


def wait_progress(shell, busy, timeout=600):
    """Until each of the devices @busy has done something since now."""
    before, deadline = operations(shell), time.monotonic() + timeout
    while True:
        now = operations(shell)
        still = [name for name in busy if now[name] == before[name]]
        if not still:
            return
        if time.monotonic() > deadline:
            with Guest(shell, "linux") as guest:
                said = guest.run("tail /tmp/job.*.out").text
            pytest.fail(f"nothing happens on {still}: {said}")
        time.sleep(0.5)


def rebuild(shell, turn):
    """Take the machine apart and put it together, with the balloon on its way; type a word."""
    shell.ok(f"vm balloon linux {MEMORY - turn % 3 * 64}M")
    said = shell.ok("vm rebuild linux", 120)
    assert re.match(r"'linux': \d+ records, \d+ bytes; the guest stood for \d+ us", said), said
    word = f"{'abcdefghij'[turn % 10]}xyz"
    shell.ok(f"vm type linux {word}", 120)
    return said, word


def test_rebuild_in_the_middle_of_everything(shell, show):
    """Paused with I/O under way on all devices, each saved, destroyed, restored; many times."""
    with Guest(shell, "linux") as guest:
        data = guest.ok("disk data")
        guest.ok(f"mkfs.ext4 -q {data} && mkdir -p /mnt && mount {data} /mnt", 120)
        keyboard = guest.ok("grep -l keyboard /sys/class/input/event*/device/name").split("/")[4]
        evtest = guest.spawn(f"evtest /dev/input/{keyboard}")
        port = guest.ok("cd /sys/class/virtio-ports; grep -l audit */name").split("/")[0]
        jobs = {name: loop(guest, name, body.replace("$PORT", f"/dev/{port}"))
                for name, body in JOBS.items()}
    with Guest(shell, "peer") as guest:
        flood = {"ping": loop(guest, "ping", PEER)}
    typed = ""
    for turn in range(REBUILDS):
        wait_progress(shell, [*JOBS, "net0"])
        said, word = rebuild(shell, turn)
        typed += word
    show(said)
    wait_progress(shell, [*JOBS, "net0"])
    shell.ok(f"vm balloon linux {MEMORY}M")
    with Guest(shell, "peer") as guest:
        turns = ended(guest, flood)
        assert not guest.problems()
    with Guest(shell, "linux") as guest:
        turns |= ended(guest, jobs)
        guest.ok(f"umount /mnt && e2fsck -fn {data}", 300)
        guest.ok("killall evtest")
        keys = re.findall(r"\(KEY_(\w+)\), value 1", guest.join(evtest).text)
        assert not guest.problems()
    show(str(turns))
    show(shell.ok("device stats linux"))
    assert "".join(keys).lower() == typed
    assert states(shell) == {"ready"}
    numbers = [int(n) for n in shell.ok("vm log linux:audit", 60).split()[-turns["console0"]:]]
    assert numbers == list(range(turns["console0"] - len(numbers) + 1, turns["console0"] + 1))
