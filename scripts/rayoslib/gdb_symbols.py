# SPDX-License-Identifier: Apache-2.0
"""gdb command `rayos-symbols`: find where the loader has put the kernel (KASLR)."""

import gdb  # pylint: disable=import-error

LINK_BASE = 0xFFFFFFFF80000000
TEXT_OFFSET = 0x1000  # file offset of the first segment
STEP = 4096


class RayosSymbols(gdb.Command):
    """Load the kernel's symbols; the machine must be stopped inside the kernel."""

    def __init__(self):
        super().__init__("rayos-symbols", gdb.COMMAND_FILES)

    def invoke(self, _argument, _from_tty):
        with open("build/kernel-image.elf", "rb") as image:
            image.seek(TEXT_OFFSET)
            head = image.read(64)
        base = int(gdb.parse_and_eval("$rip")) & 0xFFFFFFFFFFFFFFFF & ~(STEP - 1)
        if base < LINK_BASE:
            raise gdb.GdbError("not in the kernel: continue, Ctrl-C, and try again")
        inferior = gdb.selected_inferior()
        while bytes(inferior.read_memory(base, len(head))) != head:
            base -= STEP
            if base < LINK_BASE:
                raise gdb.GdbError("the kernel's first page was not found")
        gdb.execute(f"symbol-file build/kernel.elf -o {base - LINK_BASE:#x}")


RayosSymbols()
