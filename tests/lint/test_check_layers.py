# SPDX-License-Identifier: Apache-2.0
"""scripts/check-layers must go red: each rule is broken once in a small tree."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"

GOOD = {
    "kernel/lib/a.h": "#define A 1\n",
    "kernel/arch/cpu.h": '#include "kernel/lib/a.h"\n'
                         'static inline void f(void) { __asm__ volatile("cli"); }\n',
    "kernel/panic.h": '#include "kernel/arch/cpu.h"\n',
    "kernel/mm/page.h": '#include "kernel/panic.h"\n',
    "hv/vm.h": '#include "kernel/mm/page.h"\n',
    "hv/vmx/vmx_insn.h": 'static inline void g(void) { __asm__ volatile("1: vmxoff\\n"); }\n',
    "hv/vmx/vmx.c": '#include "hv/vm.h"\n#include "hv/vmx/vmx_insn.h"\n',
    "shell/s.c": '#include "hv/vm.h"\n#include "version.h"\n/* asm("cli") */\n',
    "kernel/init.c": '#include "shell/s.h"\n',
    "shell/s.h": "#define S 1\n",
    "boot/boot_info.h": "#define B 1\n",
    "devices/host/nvme.c": '#include "kernel/panic.h"\n#include "boot/boot_info.h"\n',
}

BAD = [
    ("kernel/lib/up.c", '#include "kernel/panic.h"\n', "higher layer"),
    ("kernel/x.c", '#include "shell/s.h"\n', "higher layer"),
    ("kernel/arch/x.c", '#include "kernel/mm/page.h"\n', "higher layer"),
    ("devices/host/x.c", '#include "hv/vm.h"\n', "devices/host/ may use"),
    ("boot/x.c", '#include "kernel/panic.h"\n', "boot/ may use"),
    ("kernel/x.c", "#include <efi.h>\n", "EFI headers"),
    ("hv/x.c", '#include "hv/vmx/vmx_insn.h"\n', "does not know its backends"),
    ("hv/svm/x.c", '#include "hv/vmx/vmx_insn.h"\n', "do not know each other"),
    ("hv/x.c", '#include "vm.h"\n', "rooted at the top"),
    ("hv/x.c", '#include "hv/gone.h"\n', "no such file"),
    ("hv/x.c", '#include "tests/t.h"\n', "outside the layers"),
    ("kernel/mm/x.c", 'void f(void) { asm volatile("mov %%cr3, %0" : "=r"(x)); }\n',
     "kernel/arch"),
    ("hv/x.c", 'void f(void) { __asm__ __volatile__("nop\\n\\trdmsr" ::: "eax"); }\n',
     "kernel/arch"),
    ("hv/vmx/x.c", 'void f(void) { __asm__("vmlaunch"); }\n', "vmx_insn.h"),
    ("kernel/arch/x.c", 'void f(void) { __asm__("lock; vmrun"); }\n', "svm_insn.h"),
    ("shell/x.S", "nop\n", "assembly files stand in"),
    ("hv/long.c", "\n" * 1001, "lines"),
]


def tree(tmp_path, extra):
    files = dict(GOOD, **{"tests/t.h": "", **extra})
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SPDX + text)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)


def check(tmp_path):
    r = subprocess.run([ROOT / "scripts/check-layers", tmp_path], capture_output=True, text=True)
    return r.returncode, r.stdout


def test_good_tree_passes(tmp_path):
    tree(tmp_path, {})
    code, out = check(tmp_path)
    assert code == 0, out


@pytest.mark.parametrize("name,text,says", BAD)
def test_each_rule_is_enforced(tmp_path, name, text, says):
    tree(tmp_path, {name: text})
    code, out = check(tmp_path)
    assert code == 1 and says in out and name in out, out


def test_private_header(tmp_path):
    tree(tmp_path, {"kernel/mm/a_priv.h": "", "kernel/mm/ok.c": '#include "kernel/mm/a_priv.h"\n',
                    "hv/x.c": '#include "kernel/mm/a_priv.h"\n'})
    code, out = check(tmp_path)
    assert code == 1 and "hv/x.c:2" in out and "kernel/mm/ok.c" not in out, out


def test_include_circles(tmp_path):
    tree(tmp_path, {"hv/a.h": '#include "hv/b.h"\n', "hv/b.h": '#include "hv/a.h"\n'})
    code, out = check(tmp_path)
    assert code == 1 and "circle: hv/a.h -> hv/b.h -> hv/a.h" in out, out


def test_folder_circles(tmp_path):
    tree(tmp_path, {"kernel/mm/a.h": '#include "kernel/irq/b.h"\n', "kernel/irq/b.h": "",
                    "kernel/irq/c.h": '#include "kernel/mm/page.h"\n'})
    code, out = check(tmp_path)
    assert code == 1 and "kernel/mm -> kernel/irq -> kernel/mm" in out, out


def test_licence_line(tmp_path):
    tree(tmp_path, {})
    (tmp_path / "hv/bare.c").write_text("int x;\n")
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    code, out = check(tmp_path)
    assert code == 1 and "hv/bare.c:1: no SPDX" in out and "tool:1: no SPDX" in out, out


def test_nothing_to_check_is_a_failure(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert check(tmp_path)[0] == 1
