# SPDX-License-Identifier: Apache-2.0
# gdb -x scripts/debug.gdb, from the top folder: attaches to `make debug`.
set confirm off
set pagination off
set architecture i386:x86-64
source scripts/rayoslib/gdb_symbols.py
target remote 127.0.0.1:1234
echo Type 'continue'; stop in the kernel with Ctrl-C, then 'rayos-symbols'.\n
