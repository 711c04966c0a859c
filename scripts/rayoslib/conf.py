# SPDX-License-Identifier: Apache-2.0
"""Just enough of rayos.conf for the image builder: the modules that it names."""


def modules(text):
    """Names after `module =` in section [boot], with their line numbers."""
    section, found = None, []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if line.startswith("["):
            section = line.strip("[] \t")
        elif section == "boot" and "=" in line:
            key, value = (part.strip() for part in line.split("=", 1))
            if key == "module":
                found.append((number, value))
    return found
