# SPDX-License-Identifier: Apache-2.0
"""Emulated machines with a serial console: what scripts/run and the boot tests drive.

A Machine is started, typed into and waited upon; everything it ever printed is in `log`.
Waiting always has a deadline and always ends with the process or the marker. Backends:

    svm        QEMU, TCG, AMD SVM with nested paging
    vmx        Bochs, Intel VMX (model corei7_skylake_x)
    svm-bochs  Bochs, AMD SVM with next-RIP (model trinity_apu)
    kvm        QEMU on KVM, where it offers VMX or SVM to its guest
"""

import ctypes
import json
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from .files import Catcher, without_files

TOP = Path(__file__).resolve().parent.parent.parent
ISO = TOP / "build" / "rayos.iso"
BACKENDS = ("svm", "vmx", "svm-bochs", "kvm")
BOCHS_MODELS = {"vmx": "corei7_skylake_x", "svm-bochs": "trinity_apu"}
# OVMF reaches the loader in 5 s (QEMU) to 20 s (Bochs) on an idle machine; CI may be busy.
BOOT_TIMEOUT = {"svm": 300, "kvm": 60, "vmx": 600, "svm-bochs": 600}
PANIC = "RAYOS_PANIC:"
PANIC_GRACE = 3  # seconds for what a panic prints last
SHELL_READY = "RAYOS_BOOT_MARKER:SHELL_READY"


class MachineError(Exception):
    """The machine cannot be started; the text says why."""


class MarkerMissing(Exception):
    """A marker did not come before its deadline or before the machine ended."""


@dataclass
class Config:
    """What machine to make; every field has a scripts/run option of the same name."""

    backend: str = "svm"
    iso: Path = ISO
    cpus: int = 1
    memory: int = 2048  # MiB
    disks: list = field(default_factory=list)
    usb: bool = False  # boot the image as a USB stick instead of a CD
    gop: bool = True
    tpm: bool = False
    icount: bool = False
    gdb: bool = False
    reboot: bool = True
    bochs_ips: int = 40_000_000
    extra: list = field(default_factory=list)  # QEMU arguments or Bochs configuration lines


def kvm_usable():
    """KVM counts only where it can offer virtualisation to its guest."""
    flags = Path("/proc/cpuinfo").read_text()
    if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", flags, re.M) or not Path("/dev/kvm").exists():
        return False
    for vendor in ("intel", "amd"):
        nested = Path(f"/sys/module/kvm_{vendor}/parameters/nested")
        if nested.exists() and nested.read_text().strip() in ("1", "Y"):
            return True
    return False


def _tool(name):
    path = shutil.which(name)
    if not path:
        raise MachineError(f"{name} is not installed (scripts/setup test)")
    return path


def _die_with_parent():
    """In the child: an emulator must not outlive a killed test run (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _first_file(*candidates):
    for candidate in candidates:
        if Path(candidate).exists():
            return Path(candidate)
    raise MachineError(f"none of these files exists: {', '.join(map(str, candidates))}")


class Machine:
    """One emulator process with its serial line on a socket that we listen on."""

    def __init__(self, config):
        self.config = config
        self.log = bytearray()
        self.mark = 0  # where the next expect() begins to look
        self.files = []  # that it sent: (name, bytes, None) or (name, None, reason)
        self._catcher = Catcher(lambda name, data: self.files.append((name, data, None)),
                                lambda name, why: self.files.append((name, None, why)))
        self._changed = threading.Condition()
        self._ended = False
        self._process = None
        self._helpers = []
        self._serial = None
        self._folder = None

    # ---- life -------------------------------------------------------------------------

    def start(self):
        if not Path(self.config.iso).is_file():
            raise MachineError(f"{self.config.iso}: no such image (run make first)")
        self._folder = Path(tempfile.mkdtemp(prefix="rayos-"))
        try:
            listener = self._listen()
            command = self._command(self._serial_argument(listener))
            errors = open(self._folder / "stderr", "wb")
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=subprocess.STDOUT,
                cwd=self._folder, preexec_fn=_die_with_parent)
            errors.close()
            self._serial = self._accept(listener)
        except BaseException:
            self.stop()
            raise
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def stop(self):
        """End the emulator and whatever was started for it; safe to call twice."""
        for process in [self._process, *self._helpers]:
            if process and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if self._serial:
            self._serial.close()
            self._serial = None
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    def wait_exit(self, timeout):
        """Wait until the emulator ends by itself (power-off); False at the deadline."""
        try:
            self._process.wait(timeout)
            return True
        except subprocess.TimeoutExpired:
            return False

    # ---- the serial line ----------------------------------------------------------------

    def send(self, data):
        self._serial.sendall(data if isinstance(data, bytes) else data.encode())

    def send_line(self, text):
        self.send(text + "\r")

    def expect(self, marker, timeout=60):
        """Wait for a string or a compiled regular expression; the match is returned.

        Only what came after the last match counts. Raises MarkerMissing, early when the
        kernel panics meanwhile.
        """
        pattern = marker if hasattr(marker, "search") else re.compile(re.escape(marker))
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                text = self.log[self.mark:].decode("latin-1")
                match = pattern.search(text)
                if match:
                    self.mark += match.end()
                    return match
                left = deadline - time.monotonic()
                panicked = PANIC in text
                if panicked and left > PANIC_GRACE:
                    deadline, left = time.monotonic() + PANIC_GRACE, PANIC_GRACE
                if self._ended or left <= 0:
                    why = (self._ended_because() if self._ended
                           else "because the kernel panicked" if panicked
                           else f"within {timeout} s")
                    raise MarkerMissing(f"{pattern.pattern!r} did not come {why}")
                self._changed.wait(min(left, 1.0))

    def settle(self, timeout=1.0):
        """Let the line that a marker stands on come to its end."""
        try:
            self.expect("\n", timeout)
        except MarkerMissing:
            pass

    def text(self, start=0):
        """The log from an offset on, as text with plain line ends and without files sent."""
        return without_files(self.log[start:]).decode("utf-8", errors="replace").replace("\r", "")

    def _ended_because(self):
        said = ""
        if self._folder and (self._folder / "stderr").exists():
            said = (self._folder / "stderr").read_text(errors="replace").strip()[-800:]
        return "before the machine ended" + (f"; the emulator said: {said}" if said else "")

    def _read(self):
        while True:
            try:
                data = self._serial.recv(65536)
            except (OSError, AttributeError):
                data = b""
            with self._changed:
                if not data:
                    self._ended = True
                self.log += data
                self._catcher.feed(data)
                self._changed.notify_all()
            if not data:
                return

    def _accept(self, listener):
        listener.settimeout(0.2)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                connection, _ = listener.accept()
                listener.close()
                connection.settimeout(None)
                return connection
            except socket.timeout:
                if self._process.poll() is not None:
                    break
        listener.close()
        raise MachineError(f"the emulator did not start: {self._ended_because()}")


class Qemu(Machine):
    """QEMU on TCG with an emulated AMD SVM, or on KVM."""

    def _listen(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._folder / "serial"))
        listener.listen(1)
        return listener

    def _serial_argument(self, _listener):
        return ["-chardev", f"socket,id=serial,path={self._folder}/serial",
                "-serial", "chardev:serial"]

    def _command(self, serial):
        config = self.config
        code = _first_file("/usr/share/OVMF/OVMF_CODE_4M.fd")
        variables = self._folder / "vars.fd"
        shutil.copy(_first_file("/usr/share/OVMF/OVMF_VARS_4M.fd"), variables)
        command = [
            _tool("qemu-system-x86_64"), "-nodefaults", "-no-user-config",
            "-machine", "q35", "-m", str(config.memory), "-smp", str(config.cpus),
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
            "-drive", f"if=pflash,format=raw,unit=1,file={variables}",
            "-display", "none", *(["-vga", "std"] if config.gop else ["-vga", "none"]),
            "-qmp", f"unix:{self._folder}/qmp,server=on,wait=off", *serial,
        ]
        if config.backend == "kvm":
            if not kvm_usable():
                raise MachineError("KVM here cannot run guests of ours (no nested virtualisation)")
            command += ["-accel", "kvm", "-cpu", "host"]
        else:
            command += ["-accel", "tcg", "-cpu", "EPYC,+svm"]
        command += self._image() + self._disk_arguments()
        if config.icount:
            command += ["-icount", "shift=0,sleep=off"]
        if not config.reboot:
            command += ["-no-reboot"]
        if config.gdb:
            command += ["-gdb", "tcp::1234", "-S"]
        if config.tpm:
            command += self._tpm()
        return command + config.extra

    def _image(self):
        iso = f"if=none,id=boot,format=raw,readonly=on,file={Path(self.config.iso).resolve()}"
        if self.config.usb:
            return ["-drive", iso, "-device", "qemu-xhci",
                    "-device", "usb-storage,drive=boot,bootindex=0"]
        return ["-drive", iso + ",media=cdrom", "-device", "ide-cd,drive=boot,bootindex=0"]

    def _disk_arguments(self):
        arguments = []
        for number, disk in enumerate(self.config.disks):
            path = Path(disk).resolve()
            kind = "qcow2" if path.suffix == ".qcow2" else "raw"
            arguments += ["-drive", f"if=none,id=disk{number},format={kind},file={path}",
                          "-device", f"nvme,drive=disk{number},serial=rayos{number}"]
        return arguments

    def _tpm(self):
        state = self._folder / "tpm"
        state.mkdir()
        self._helpers.append(subprocess.Popen(
            [_tool("swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={state}",
             "--ctrl", f"type=unixio,path={self._folder}/swtpm"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 10
        while not (self._folder / "swtpm").exists():
            if time.monotonic() > deadline:
                raise MachineError("swtpm did not start")
            time.sleep(0.05)
        return ["-chardev", f"socket,id=tpm,path={self._folder}/swtpm",
                "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"]

    def qmp(self, execute, **arguments):
        """Run one QMP command and return its result."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(30)
            monitor.connect(str(self._folder / "qmp"))
            stream = monitor.makefile("rw")
            stream.readline()
            for command in ({"execute": "qmp_capabilities"},
                            {"execute": execute, "arguments": arguments}):
                stream.write(json.dumps(command) + "\n")
                stream.flush()
                while True:
                    answer = json.loads(stream.readline())
                    if "return" in answer or "error" in answer:
                        break
            if "error" in answer:
                raise MachineError(f"QMP {execute}: {answer['error']['desc']}")
            return answer["return"]

    def monitor(self, line):
        """Run a line of the human monitor ("info mem") and return its text."""
        return self.qmp("human-monitor-command", **{"command-line": line})


class Bochs(Machine):
    """Bochs with an emulated Intel VMX or AMD SVM; no TPM, no monitor."""

    def _listen(self):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        return listener

    def _serial_argument(self, listener):
        return f"127.0.0.1:{listener.getsockname()[1]}"

    def _command(self, serial):
        config = self.config
        for name in ("tpm", "icount", "gdb", "usb"):
            if getattr(config, name):
                raise MachineError(f"--{name} needs QEMU (--backend svm)")
        firmware = _first_file("/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF.fd")
        base = 0x1_0000_0000 - firmware.stat().st_size
        lines = [
            'display_library: rfb, options="timeout=0"',
            f"megs: {config.memory}",
            f"cpu: model={BOCHS_MODELS[config.backend]}, count={config.cpus}, "
            f"ips={config.bochs_ips}, reset_on_triple_fault={int(config.reboot)}",
            f"romimage: file={firmware}, address={base:#x}",
            f"vgaromimage: file={_first_file('/usr/share/vgabios/vgabios.bin')}",
            f"ata0-master: type=cdrom, path={Path(config.iso).resolve()}, status=inserted",
            "boot: cdrom",
            "clock: sync=none",
            "port_e9_hack: enabled=1",
            f"com1: enabled=1, mode=socket-client, dev={serial}",
            "sound: driver=dummy",
            "log: bochs.log",
            "panic: action=fatal",
            "error: action=report",
            "info: action=ignore",
            "debug: action=ignore",
        ]
        lines += [f"ata{n // 2 + 1}-{('master', 'slave')[n % 2]}: type=disk, mode=flat, "
                  f"path={Path(disk).resolve()}" for n, disk in enumerate(config.disks)]
        (self._folder / "bochsrc").write_text("\n".join(lines + config.extra) + "\n")
        (self._folder / "commands").write_text("c\n")
        return [_tool("bochs"), "-q", "-f", "bochsrc", "-rc", "commands"]

    def _ended_because(self):
        log = self._folder / "bochs.log" if self._folder else None
        if log and log.exists():
            panics = [line for line in log.read_text(errors="replace").splitlines()
                      if re.match(r"\d+p", line)]
            if panics:
                return "before the machine ended; Bochs: " + " / ".join(panics[-3:])
        return super()._ended_because()


def machine(config):
    """The Machine class instance for a Config."""
    if config.backend not in BACKENDS:
        raise MachineError(f"unknown backend {config.backend!r}; one of {', '.join(BACKENDS)}")
    return (Bochs if config.backend in BOCHS_MODELS else Qemu)(config)
