# SPDX-License-Identifier: Apache-2.0
"""Disk images for tests, partitioned by sgdisk."""

import subprocess

KIB, MIB = 1 << 10, 1 << 20
STORE_TYPE = "7a0b6e52-3c3d-4f58-9c1e-5d2f8a4e91c7"  # docs/storage.md


def disk_image(path, part_mib, store_mib=16):
    """A disk with a small partition of a store and, 16 MiB behind it, one of @part_mib for a guest."""
    with open(path, "wb") as image:
        image.truncate((part_mib + store_mib + 18) * MIB)
    subprocess.run(["/usr/sbin/sgdisk", "-n", f"1:1M:+{store_mib}M", "-t", f"1:{STORE_TYPE}", "-c",
                    "1:store a", "-n", f"2:{store_mib + 16}M:+{part_mib}M", "-t", "2:8300", "-c",
                    "2:für Gäste", path], check=True, stdout=subprocess.DEVNULL)
    return path


def store_image(path, *sizes_mib):
    """A disk with partitions for stores."""
    with open(path, "wb") as image:
        image.truncate((sum(sizes_mib) + 2 + 2 * len(sizes_mib)) * MIB)
    command = ["/usr/sbin/sgdisk"]
    for number, size in enumerate(sizes_mib, 1):
        command += ["-n", f"{number}:0:+{size}M", "-t", f"{number}:{STORE_TYPE}"]
    subprocess.run([*command, path], check=True, stdout=subprocess.DEVNULL)
    return path
