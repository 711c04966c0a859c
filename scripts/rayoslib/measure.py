# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench measures: images, boots, and the numbers read from them.

One boot measures as much as it can: mitigations are chosen at boot, so each backend takes two.
All values are instruction counts where the unit says so: under QEMU's -icount and in Bochs the
TSC counts instructions.
"""

import re
import subprocess
import tempfile
import time
from pathlib import Path

from .console import Console
from .disks import store_image
from .guest import CLOUD_KERNEL, INITRD_TOOLS, Guest
from .machine import TOP, Config, machine
from .shell import Shell

LOGS = TOP / "build/bench-logs"  # what each boot's serial line said
KERNEL_BASE = 0xFFFFFFFF80000000
KIB, MIB = 1 << 10, 1 << 20
RAM = 2048 * MIB
MITIGATIONS_COST = 130

# name: (limit in Bochs, limit in QEMU); None: not measured there
EXIT_LIMITS = {
    "cpuid": (220, 420), "hypercall": (180, 400), "msr_read": (220, 420),
    "msr_denied": (320, 320), "port_out": (280, 280), "mmio_write": (600, 600),
    "x2apic_eoi": (220, 420), "tsc_deadline": (450, 650), "self_ipi": (850, 1200),
    "kick": (600, 600), "hlt_timer_late": (None, 800), "touch_4k": (10, 10),
}

EXITS_CONF = """[rayos]
mitigations = {mitigations}
[boot]
module = bench.elf
{modules}
[vm bench]
kernel = bench.elf
cmdline = {cmdline}
memory = 128M
vcpus = 1
testdev = yes
"""
MEMORY_VMS = 3
MEMORY_VM_BYTES = 32 * MIB
MEMORY_CONF = "".join(f"[vm memory{n}]\nkernel = memory.elf\ncmdline = id={n}\nmemory = 32M\n"
                      for n in range(MEMORY_VMS))
LINUX_CONF = """[vm linux]
kernel = vmlinuz
initrd = initrd.img
cmdline = quiet console=ttyS0
memory = 256M
vcpus = 1
"""
# The devices' boot: bare guests that measure theirs, and a Linux guest that has one of each kind.
DEVICES_CONF = """[rayos]
mitigations = off
[boot]
{modules}
[vm vbench]
kernel = vbench.elf
cmdline = blk meter
memory = 64M
disk = ram=8M
meter =
[vm sink]
kernel = netbench.elf
cmdline = sink
memory = 64M
net-rate = unlimited
net = mac=52:54:00:00:00:02
[vm send]
kernel = netbench.elf
cmdline = send
memory = 64M
net-rate = unlimited
net = mac=52:54:00:00:00:01
"""
DEVICES_LINUX_CONF = """[vm devices]
kernel = vmlinuz
initrd = test-tools-initrd.img
cmdline = quiet console=ttyS0
memory = 512M
vcpus = 1
disk = ram=64M
net = switch0
console = hvc
rng = rate=64K
balloon =
input = keyboard
input = tablet
gpu =
vsock =
"""
BENCH_PROMPT = "BENCH ready"  # tests/guests/lib/meter.c
# Name, arguments of blkbench behind the device, limit.
GUEST_READS = (("blk_guest_4k", f"{4 * KIB} 2000", 22_000),
               ("blk_guest_1m", f"{MIB} 60", 300_000),
               ("blk_guest_1m_pages", f"{MIB} 60 pages", 300_000))
INITRD_BYTES = 3 * MIB
INIT_LINE = "bench init is up"  # tests/bench/init
IDLE_SETTLE, IDLE_SECONDS = 120, 1000  # of guest time
IDLE_POLL = 3  # seconds here, as each look wakes the machine


class NotMeasured(Exception):
    """A boot went well and yet a number is missing or cannot be trusted."""


def emulator_version(backend):
    if backend == "svm":
        done = subprocess.run(["qemu-system-x86_64", "--version"], check=True,
                              stdout=subprocess.PIPE).stdout.decode()
        return "qemu " + re.search(r"version (\S+)", done).group(1)
    package = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "bochs"], check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    return "bochs " + (package.split("+")[0] or "unknown")


def make_image(folder, conf, *modules):
    (folder / "rayos.conf").write_text(conf)
    command = [TOP / "scripts/mkiso", "--conf", folder / "rayos.conf", "-o", folder / "bench.iso"]
    for module in modules:
        command += ["--module", module]
    subprocess.run(command, check=True)
    return folder / "bench.iso"


def make_initrd(folder):
    """The measured guest's: busybox and our init, brought to its exact size by a file."""
    output, padding = folder / "initrd.img", folder / "modules" / "padding"
    padding.parent.mkdir()
    for size in (0, None):
        padding.write_bytes(b"\0" * (INITRD_BYTES - output.stat().st_size if size is None else 0))
        subprocess.run([TOP / "scripts/mkinitrd", "--busybox", TOP / "build/deps/busybox/busybox",
                        "--init", TOP / "tests/bench/init", "--tree", f"lib/modules={padding.parent}",
                        "-o", output], check=True)
    if output.stat().st_size != INITRD_BYTES:
        raise NotMeasured(f"the initrd has {output.stat().st_size} bytes, not {INITRD_BYTES}")
    return output


# ---- what needs no emulator ---------------------------------------------------------------

def third_party_bytes():
    """Bytes of the kernel that the linker took from third-party archives."""
    total = 0
    text = (TOP / "build/kernel.map").read_text()
    text = text[text.index("Linker script and memory map"):]
    # " .text.x  0xaddress  0xsize  build/libzydis.a(Decoder.o)", name and rest on two lines if long
    for address, size in re.findall(r"(0x[0-9a-f]{16})\s+(0x[0-9a-f]+) build/lib\w+\.a\(", text):
        if int(address, 16) >= KERNEL_BASE:
            total += int(size, 16)
    return total


def sizes():
    """[(name, value, unit, limit)] of the kernel image and the ISO without guests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kernel = folder / "kernel.elf"
        subprocess.run(["strip", "-o", kernel, TOP / "build/kernel.elf"], check=True)
        third = third_party_bytes()
        iso = make_image(folder, "")
        return [("kernel_image", kernel.stat().st_size - third, "bytes", 2 * MIB),
                ("kernel_third_party", third, "bytes", None),
                ("iso_without_guests", iso.stat().st_size, "bytes", 8 * MIB)]


# ---- one boot -----------------------------------------------------------------------------

def boot_ticks(target):
    found = re.search(r"SHELL_READY tsc_ticks=(\d+)", target.text())
    if not found:
        raise NotMeasured("SHELL_READY carries no tsc_ticks")
    return [("boot_to_shell", int(found.group(1)), "instructions", 60_000_000)]


def checks(shell):
    """What a device asks before each request."""
    found = re.search(r"policy_quota_check (\d+)", shell.ok("selftest quota_cost", 60))
    if not found:
        raise NotMeasured("the quota self-test says no cost")
    return [("policy_quota_check", int(found.group(1)), "instructions", 60)]


def start_vm(shell, name):
    shell.machine.send_line(f"vm start {name}")
    shell.machine.expect(f"RAYOS_VM:STARTED name={name}", 300)
    shell.machine.send_line("")
    shell.machine.settle()


def memory(shell):
    """What the hypervisor takes besides the modules, and each further VM besides its memory."""
    modules = sum(-(-row["size"] // 4096) * 4096 for row in shell.run("vm modules --json").json)
    free = [shell.run("mem --json").json["free"]]
    for number in range(MEMORY_VMS):
        shell.ok(f"vm start memory{number}", 120)
        free.append(shell.run("mem --json").json["free"])
    for number in range(MEMORY_VMS):
        shell.ok(f"vm kill memory{number}", 60)
    further = (free[1] - free[-1]) // (MEMORY_VMS - 1) - MEMORY_VM_BYTES
    return [("memory_hypervisor", RAM - free[0] - modules, "bytes", 24 * MIB + RAM * 8 // 1000),
            ("memory_vm", further, "bytes", 256 * KIB)]


def exits(shell):
    """{name: value} of the measuring guest."""
    target = shell.machine
    start = len(target.log)
    start_vm(shell, "bench")
    with Console(shell, "bench", booting=True) as guest:
        guest.expect("BENCH ready", 300)
        target.send("g")  # the last that is typed until all is measured
        guest.expect("GUEST:DONE", 900)
    text = target.text(start)
    shell.ok("vm kill bench", 60)
    values = {name: int(value) for name, value in re.findall(r"^BENCH (\S+) (\d+)", text, re.M)}
    if re.search(r"^BENCH \S+ lost", text, re.M):
        raise NotMeasured(f"interrupts were lost:\n{text[-1000:]}")
    if values.get("hlt_timer_early"):
        raise NotMeasured(f"{values['hlt_timer_early']} timers came early")
    return values


def linux_start(shell):
    """From `vm start` to the first byte its console shows, which must be init's."""
    start_vm(shell, "linux")
    with Console(shell, "linux", booting=True, prompt="# ") as guest:
        text = guest.ready(600)
    said = [line for line in text.splitlines() if line.strip()]
    if not said or INIT_LINE not in said[0]:
        raise NotMeasured(f"the guest's console begins otherwise: {said[:3]}")
    ticks = shell.run("vm info linux --json").json["ticks_to_output"]
    return [("vm_start_to_init", ticks, "instructions", 1_500_000_000)]


def counters(shell, name):
    """{counter: value} of a VM."""
    return {row["counter"]: row["value"] for row in shell.run(f"vm stats {name} --json").json}


def exits_between(before, after):
    """What was counted from one counters() to the next, without what is no exit."""
    return {name: value - before.get(name, 0) for name, value in after.items()
            if name not in ("runtime_ns", "msr_denied", "io_unknown", "halts")}


def idle_sample(shell, name):
    """(guest seconds, {counter: value}) of an idle guest."""
    seconds = shell.run(f"vm info {name} --json").json["uptime_s"]
    return seconds, counters(shell, name)


def idle_sample_after(shell, name, seconds):
    """Emulated time runs ahead while nothing runs: wait until it is late enough."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        sample = idle_sample(shell, name)
        if sample[0] >= seconds:
            return sample
        time.sleep(IDLE_POLL)
    raise NotMeasured(f"no {seconds} s of guest time passed")


def idle(shell):
    """Exits of a Linux guest that waits at its prompt."""
    begin, before = idle_sample_after(shell, "linux", IDLE_SETTLE)
    end, after = idle_sample_after(shell, "linux", begin + IDLE_SECONDS)
    done = exits_between(before, after)
    wakeups = after["halts"] - before["halts"]
    if not wakeups:
        raise NotMeasured("the idle guest never woke")
    total = sum(done.values())
    # What is typed to take the samples ends the guest's run a few times: below a hundredth.
    unasked = done.get("extint", 0) + done.get("intr-window", 0)
    return [("idle_unasked_per_wakeup", round(unasked / wakeups, 2), "exits", 0),
            ("idle_exits_per_wakeup", round(total / wakeups, 2), "exits", 3),
            ("idle_exits_per_second", round(total / (end - begin), 1), "exits", 35)]


# ---- the devices' boot ----------------------------------------------------------------------

def measured(shell, name, byte):
    """Have a guest of lib/meter.h measure; ({name: value}, its exits meanwhile)."""
    before = counters(shell, name)
    with Console(shell, name, prompt=BENCH_PROMPT) as guest:
        shell.machine.send(byte)
        text = guest.ready(900)
    done = exits_between(before, counters(shell, name))
    return ({name: int(value) for name, value in re.findall(r"^BENCH (\S+) (\d+)", text, re.M)},
            sum(done.values()))


def bench_guest(shell, name):
    """Start a guest that measures, up to its first prompt."""
    start_vm(shell, name)
    with Console(shell, name, booting=True, prompt=BENCH_PROMPT) as guest:
        guest.ready(300)


def block_reads(shell, byte, name, limits):
    """4 KiB reads: instructions, exits and interrupts of each."""
    values, exits_done = measured(shell, "vbench", byte)
    requests = values[f"{name}_requests"]
    interrupts = round(values[f"{name}_interrupts"] / requests, 3)
    return [(name, values[name], "instructions", limits[0]),
            (f"{name}_exits", round(exits_done / requests, 3), "exits", limits[1]),
            (f"{name}_interrupts", interrupts, "interrupts", limits[2])]


def devices(shell):
    """What virtio devices cost, seen from bare guests."""
    bench_guest(shell, "vbench")
    rows = block_reads(shell, "1", "blk_4k_d1", (1800, 1.05, 1))
    rows += block_reads(shell, "3", "blk_4k_d32", (900, 0.2, None))
    for byte, name, limit in (("s", "blk_seq", 160), ("k", "virtio_kick", 600)):
        rows.append((name, measured(shell, "vbench", byte)[0][name], "instructions", limit))
    shell.ok("vm kill vbench", 60)
    bench_guest(shell, "sink")
    bench_guest(shell, "send")
    measured(shell, "send", "w")
    for byte, name, limit in (("p", "net_1500", 1500), ("t", "net_tso", 12_000)):
        rows.append((name, measured(shell, "send", byte)[0][name], "instructions", limit))
    for name in ("sink", "send"):
        shell.ok(f"vm kill {name}", 60)
    return rows


def device_sample(shell):
    """({device: its row of `device stats`}, exits to ports and memory) of the Linux guest: a
    device's registers are nowhere else."""
    stats = {row["device"]: row for row in shell.run("device stats devices --json").json}
    exits_now = counters(shell, "devices")
    return stats, exits_now.get("io", 0) + exits_now.get("stage2", 0)


def idle_device_rows(before, after):
    """What devices took between two samples that nobody asked them for. Linux takes 64 bytes
    from the entropy device once a minute: a device that served an operation was not idle."""
    events = served = 0
    for name, now in after[0].items():
        was = before[0][name]
        kicks = now["notifies"] - was["notifies"]
        if now["ops"] != was["ops"]:
            served += kicks
        else:
            events += kicks + now["interrupts"] - was["interrupts"]
    return [("idle_device_events", events, "events", 0),
            ("idle_device_exits", after[1] - before[1] - served, "exits", 0)]


def linux_devices(shell):
    """A Linux guest with all devices: reads as a program sees them, exits while it is idle."""
    start_vm(shell, "devices")
    rows = []
    with Guest(shell, "devices", booting=True) as guest:
        guest.ready()
        guest.ok("dd if=/dev/zero of=/dev/vda bs=1M count=64 oflag=direct", 300)
        # How the program's pages lie is asked for (blkbench.c), not left to chance.
        guest.ok("echo madvise >/sys/kernel/mm/transparent_hugepage/enabled")
        for name, arguments, limit in GUEST_READS:
            text = guest.ok(f"blkbench /dev/vda {arguments}", 600)
            ticks = int(re.search(r"ticks=(\d+)", text).group(1))
            rows.append((name, ticks, "instructions", limit))
    begin, _ = idle_sample(shell, "devices")
    begin, _ = idle_sample_after(shell, "devices", begin + IDLE_SETTLE)
    before = device_sample(shell)
    idle_sample_after(shell, "devices", begin + IDLE_SECONDS)
    return rows + idle_device_rows(before, device_sample(shell))


def boot_devices(backend):
    """The boot that measures devices: rows as boot() gives them."""
    whole = backend == "svm"
    modules = [TOP / "build/guests/vbench.elf", TOP / "build/guests/netbench.elf"]
    if whole:
        modules += [CLOUD_KERNEL, INITRD_TOOLS]
    conf = DEVICES_CONF.format(modules="\n".join(f"module = {path.name}" for path in modules))
    with tempfile.TemporaryDirectory() as name:
        iso = make_image(Path(name), conf + (DEVICES_LINUX_CONF if whole else ""), *modules)
        with machine(Config(backend=backend, iso=iso, icount=whole,
                            memory=(2048 if whole else 1024))) as target:
            try:
                shell = Shell(target).wait_ready()
                rows = devices(shell)
                if whole:
                    rows += linux_devices(shell)
            finally:
                log_keep(target, f"{backend}-devices")
    return rows


# ---- the store's boot -----------------------------------------------------------------------

STORE_CONF = """[rayos]
mitigations = off
[boot]
module = vbench.elf
"""
STORE_VM = "vm define {name} kernel=vbench.elf memory=64M \"cmdline=blk poll\" disk={disk}"


def busy_us(shell):
    """Time that threads took which a command of the store runs on; under -icount a microsecond is
    a thousand instructions."""
    return sum(row["cpu_time_us"] for row in shell.listing("threads")
               if row["name"] == "shell" or row["name"].startswith("store/"))


def snapshot_cost(shell):
    """Instructions of a snapshot of a volume of 100 GiB that has data, with the shell's part."""
    shell.ok("volume resize bench 100G", 60)
    idle = busy_us(shell)
    before = busy_us(shell)
    shell.ok("volume snapshot bench first", 60)
    return 1000 * (busy_us(shell) - before - (before - idle))


def store_reads(shell, name, disk):
    """{row: instructions} of a guest whose disk is that."""
    shell.ok(STORE_VM.format(name=name, disk=disk), 60)
    bench_guest(shell, name)
    values = {}
    for byte in "13s":
        values |= measured(shell, name, byte)[0]
    shell.ok(f"vm kill {name}", 60)
    return values


def boot_store(backend):
    """The boot that measures volumes on NVMe, beside a partition of the same disk. Waiting for
    the disk does not count: the guest polls, and takes off what it did meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        iso = make_image(folder, STORE_CONF, TOP / "build/guests/vbench.elf")
        disk = store_image(folder / "nvme.img", 256, 64)
        extra = ["-drive", f"if=none,id=nvme,format=raw,cache=unsafe,file={disk}",
                 "-device", "nvme,serial=bench,drive=nvme"]
        with machine(Config(backend=backend, iso=iso, icount=True, memory=1024,
                            extra=extra)) as target:
            try:
                shell = Shell(target).wait_ready()
                shell.ok("volume format nvme0n1p1 --yes", 120)
                shell.ok("volume create bench 16M", 60)
                volume = store_reads(shell, "volume", "volume=bench")
                raw = store_reads(shell, "raw", "dev=nvme0n1p2")
                snapshot = snapshot_cost(shell)
            finally:
                log_keep(target, f"{backend}-store")
    overhead = round(100 * (volume["blk_4k_d1"] / raw["blk_4k_d1"] - 1), 1)
    return [("nvme_4k_d1", volume["blk_4k_d1"], "instructions", 3200),
            ("nvme_4k_d32", volume["blk_4k_d32"], "instructions", 1500),
            ("nvme_seq", volume["blk_seq"], "instructions", 40),
            ("nvme_4k_d1_raw", raw["blk_4k_d1"], "instructions", None),
            ("nvme_4k_d32_raw", raw["blk_4k_d32"], "instructions", None),
            ("volume_overhead", overhead, "percent", 15),
            ("snapshot_100g", snapshot, "instructions", 1_000_000)]


# ---- one boot for each backend and choice of mitigations ------------------------------------

def log_keep(target, name):
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / f"{name}.log").write_bytes(bytes(target.log))


def boot(backend, mitigations):
    """One boot: ({name: value} of exits, [(name, value, unit, limit)] of all else)."""
    whole = backend == "svm" and mitigations == "off"
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        modules = [TOP / "build/guests/bench.elf"]
        if whole:
            modules += [TOP / "build/guests/memory.elf", TOP / "build/deps/linux/vmlinuz",
                        make_initrd(folder)]
        conf = EXITS_CONF.format(
            mitigations=mitigations,
            modules="".join(f"module = {path.name}\n" for path in modules[1:]),
            cmdline="linger testdev" + ("" if backend == "svm" else " notimer"))
        if whole:
            conf += MEMORY_CONF + LINUX_CONF
        iso = make_image(folder, conf, *modules)
        with machine(Config(backend=backend, iso=iso, icount=backend == "svm",
                            memory=(RAM if whole else 1024 * MIB) // MIB)) as target:
            try:
                shell = Shell(target).wait_ready()
                values = exits(shell)  # before other guests leave pages to be scrubbed
                if whole:
                    rows += boot_ticks(target) + checks(shell) + memory(shell)
                    rows += linux_start(shell) + idle(shell)
            finally:
                log_keep(target, f"{backend}-{mitigations}")
    return values, rows
