# SPDX-License-Identifier: Apache-2.0
"""PCI, ACPI, the screen and power, on machines that have them and on machines that do not."""

import random
import struct
import subprocess
import time

from rayoslib.shell import Shell

MACHINE = dict(reboot=False)

# QEMU's q35 with a standard VGA adapter.
Q35 = {"00:00.0": "8086:29c0", "00:01.0": "1234:1111", "00:1f.0": "8086:2918",
       "00:1f.2": "8086:2922", "00:1f.3": "8086:2930"}
BRIDGE = "06"


def pci_list(shell):
    return {row["address"]: row for row in shell.run("pci --json").json}


def test_pci_lists_the_board(shell, show):
    rows = pci_list(shell)
    assert {address: rows[address]["id"] for address in Q35} == Q35
    show(shell.ok("pci"))


def test_pci_shows_one_device(shell):
    detail = shell.run("pci 00:1f.2 --json").json
    assert detail["class"] == "0x10601"
    assert "MSI" in [cap["name"] for cap in detail["capabilities"]]
    assert any(bar["size"] == 4096 and not bar["ports"] for bar in detail["bars"])
    text = shell.ok("pci 00:1f.2")
    assert "AHCI" in text and "\n00: 86 80 22 29" in text


def test_pci_refuses_what_is_not_there(shell):
    assert "no device at 00:1e.7" in shell.run("pci 00:1e.7").text
    assert "no address" in shell.run("pci 1f.2").text
    assert shell.run("pci 00:1e.7").status != 0


def test_devices_without_driver_cannot_reach_memory(shell):
    for address, row in pci_list(shell).items():
        if row["driver"] == "-" and not row["class"].startswith(BRIDGE):
            assert not shell.run(f"pci {address} --json").json["bus_master"], address


def test_acpi_tables(shell, show):
    rows = shell.run("acpi --json").json
    assert {"XSDT", "FACP", "FACS", "DSDT", "APIC", "MCFG", "HPET"} <= {
        row["signature"] for row in rows}
    assert all(row["length"] >= 36 for row in rows)
    show(shell.ok("acpi"))
    assert shell.ok("acpi dump APIC").startswith("000000: 41 50 49 43")
    assert "no table" in shell.run("acpi dump NOPE").text


def test_acpi_namespace_loads(shell):
    deadline = time.monotonic() + 60
    while "namespace: ready" not in shell.ok("acpi"):
        assert time.monotonic() < deadline
        time.sleep(1)


def lit_pixels(machine, path):
    """How many pixels of a screenshot are not black."""
    machine.qmp("screendump", filename=str(path))
    magic, size, depth, pixels = path.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    assert (magic, depth, len(pixels)) == (b"P6", b"255", width * height * 3)
    return sum(any(pixels[i:i + 3]) for i in range(0, len(pixels), 3))


def test_screen_shows_the_console(shell, tmp_path):
    shell.ok("pci")
    time.sleep(1)  # the screen follows in frames
    lit = lit_pixels(shell.machine, tmp_path / "screen.ppm")
    assert lit > 5000
    shell.ok("help")
    time.sleep(1)
    assert lit_pixels(shell.machine, tmp_path / "screen.ppm") != lit


def entropy(shell):
    """The sources of randomness by name; and the selftest agrees that there is some."""
    status = shell.run("entropy --json").json
    assert status["ready"] and status["seedings"] >= 1
    assert "0 failed" in shell.run("selftest drbg", 60).text
    assert shell.run("entropy --json").json["bytes"] >= status["bytes"] + 128
    return {source["name"]: source for source in status["sources"]}


def test_randomness_from_the_cpu(shell, show):
    show(shell.ok("entropy"))
    sources = entropy(shell)
    assert sources["RDRAND"]["state"] == "in use" and sources["RDRAND"]["bytes"] >= 128
    assert sources["RDSEED"]["state"] == sources["EFI_RNG"]["state"] == "absent"


def test_power_button_switches_off(shell):
    shell.machine.qmp("system_powerdown")
    shell.machine.expect("RAYOS_POWER:OFF", 60)
    assert shell.machine.wait_exit(30)


# A port with a device behind it, a conventional bus with one, and a second host bridge.
TREE = ["pcie-root-port,id=near,chassis=1,addr=2", "virtio-rng-pci,bus=near",
        "pcie-pci-bridge,id=bridge,addr=3", "e1000,bus=bridge,addr=3,romfile=",
        "pxb-pcie,id=pxb,bus_nr=128,addr=4", "pcie-root-port,id=far,bus=pxb,chassis=2",
        "virtio-rng-pci,bus=far"]


def test_bridges_then_reboot_without_screen(boot):
    extra = [word for device in TREE for word in ("-device", device)]
    machine = boot("devices-no-gop", gop=False, reboot=False, extra=extra)
    shell = Shell(machine).wait_ready()
    rows = pci_list(shell)
    assert {"00:02.0", "00:03.0", "01:00.0", "02:03.0", "80:00.0", "81:00.0"} <= set(rows)
    assert rows["02:03.0"]["id"] == "8086:100e" and rows["81:00.0"]["id"] == "1af4:1044"
    text = shell.ok("pci 01:00.0")
    assert "MSI-X" in text and "PCI Express" in text
    assert "bridge to buses 01..01" in shell.ok("pci 00:02.0")
    assert namespace_state(shell) == "ready"
    assert "routed to GSI" in shell.ok("pci 02:03.0")
    assert "0 failed" in shell.run("selftest pci", 60).text
    assert entropy(shell)["EFI_RNG"] == {"name": "EFI_RNG", "state": "taken at boot", "bytes": 64,
                                         "refusals": 0}
    machine.send_line("reboot")
    machine.expect("RAYOS_POWER:RESET", 30)
    assert machine.wait_exit(30)


def test_no_randomness_then_poweroff_command(boot):
    """A machine without any source: blocked, and everything else goes on."""
    shell = Shell(boot("devices-poweroff", cpus=2, reboot=False,
                       extra=["-cpu", "EPYC,+svm,-rdrand"])).wait_ready()
    assert "generator: blocked, no source; seeded 0 times" in shell.ok("entropy")
    assert "0 failed" in shell.run("selftest drbg", 60).text
    status = shell.run("entropy --json").json
    assert not status["ready"] and status["bytes"] == 0 and status["blocked"] == 1
    assert {source["state"] for source in status["sources"]} == {"absent"}
    switch_off(shell)


# AML that writes into memory which is ours.
HOSTILE_ASL = """
DefinitionBlock ("", "SSDT", 2, "EVIL", "EVIL", 1) {
    Device (\\_SB.EVIL) {
        Name (_HID, "EVIL0001")
        OperationRegion (RAM, SystemMemory, 0x40000000, 0x1000)
        Field (RAM, DWordAcc, NoLock, Preserve) { WORD, 32 }
        Method (_INI) { WORD = 0xDEADBEEF }
    }
}
"""


def table(signature, body):
    """An ACPI table around a body; QEMU puts in the checksum."""
    return struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(body), 2, 0, b"EVIL", b"EVIL", 1,
                       b"EVIL", 1) + body


def boot_with_tables(boot, name, *files):
    extra = []
    for file in files:
        extra += ["-acpitable", f"file={file}"]
    return Shell(boot(name, reboot=False, extra=extra)).wait_ready()


def namespace_state(shell):
    """How loading the firmware's code ended."""
    deadline = time.monotonic() + 90
    while True:
        for state in ("ready", "failed"):
            if f"namespace: {state}" in shell.ok("acpi"):
                return state
        assert time.monotonic() < deadline
        time.sleep(1)


def switch_off(shell):
    shell.machine.send_line("poweroff")
    shell.machine.expect("RAYOS_POWER:OFF", 60)
    assert shell.machine.wait_exit(30)


def test_firmware_code_cannot_reach_our_memory(boot, tmp_path):
    (tmp_path / "evil.asl").write_text(HOSTILE_ASL)
    subprocess.run(["iasl", "-p", tmp_path / "evil", tmp_path / "evil.asl"], check=True,
                   stdout=subprocess.DEVNULL)
    (tmp_path / "slit.aml").write_bytes(table(b"SLIT", b"\xff" * 8))
    shell = boot_with_tables(boot, "devices-evil", tmp_path / "evil.aml", tmp_path / "slit.aml")
    assert namespace_state(shell) == "ready"
    assert "deadbeef" not in shell.machine.monitor("xp /1xw 0x40000000")
    assert "EVIL._INI" in shell.machine.text()  # it was tried, and refused aloud
    switch_off(shell)


def test_garbage_for_firmware_code(boot, tmp_path):
    """It ends its interpreter and nothing else; switching off works without it."""
    (tmp_path / "noise.aml").write_bytes(table(b"SSDT", random.Random(1).randbytes(900)))
    shell = boot_with_tables(boot, "devices-noise", tmp_path / "noise.aml")
    assert namespace_state(shell) == "failed"
    assert "0 failed" in shell.run("selftest mm", 60).text
    switch_off(shell)


def test_machine_without_acpi(boot, show):
    """Bochs: no tables, no screen of the firmware's, a PIIX3."""
    machine = boot("devices-bochs", backend="vmx", memory=512, reboot=False)
    shell = Shell(machine).wait_ready()
    rows = pci_list(shell)
    assert {"8086:1237", "8086:7000"} <= {row["id"] for row in rows.values()}
    show(shell.ok("pci"))
    assert "no ACPI tables" in shell.ok("acpi")
    refused = shell.run("poweroff")
    assert refused.status != 0 and "cannot switch itself off" in refused.text
    assert "00:00.0" in shell.ok("pci")  # still here
