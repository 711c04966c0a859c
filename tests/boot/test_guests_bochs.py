# SPDX-License-Identifier: Apache-2.0
"""Our own test guests under VMX, and under SVM with next-RIP: both in Bochs, two CPUs."""

import re

import pytest

from conftest import build_image
from rayoslib.shell import PROMPT, Shell
from test_guests import define, run_guest

GUESTS = "state smp pae misbehave"
TIMEOUT = 300


@pytest.fixture(scope="module", params=["vmx", "svm-bochs"])
def shell(request, boot, tmp_path_factory):
    image = build_image(tmp_path_factory.mktemp("guests"), GUESTS.split())
    target = boot(f"guests-{request.param}", backend=request.param, iso=image, cpus=2, memory=1024)
    return Shell(target).wait_ready()


def test_backend_alone_and_with_an_nmi_of_the_host(shell):
    assert "failed=0" in shell.ok("selftest backend", 120)


@pytest.mark.parametrize("guest, vcpus", [("state", 1), ("smp", 2), ("pae", 1)])
def test_guest_says_all_is_well(shell, show, guest, vcpus):
    define(shell, guest, guest, "linger testdev", testdev="yes", vcpus=vcpus)
    text = run_guest(shell, guest, TIMEOUT)
    show("\n".join(re.findall(r"(?:PASS|FAIL|GUEST:).*", text)))
    assert "FAIL" not in text and re.search(r"GUEST:DONE passed=[1-9]\d* failed=0", text)


def test_a_triple_fault_is_this_guests_end_only(shell):
    if "backend=svm" in shell.machine.text():
        pytest.skip("Bochs itself panics at a triple fault under SVM")
    define(shell, "triple", "misbehave", "triple")
    shell.machine.send_line("vm start triple")
    shell.machine.expect(re.compile(r"RAYOS_VM:CRASHED name=triple reason=triple-fault"), TIMEOUT)
    shell.machine.expect(PROMPT, 30)
    shell.ok("vm undefine triple")
    assert "version" in shell.ok("version")
