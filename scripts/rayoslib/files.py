# SPDX-License-Identifier: Apache-2.0
"""Files that RayOS sends down its serial line (kernel/filesend.h): found in the stream, checked.

    catcher = Catcher(done=lambda name, data: ..., failed=lambda name, why: ...)
    shown = catcher.feed(received)    # the stream again, without the files' lines
"""

import base64
import binascii
import re
import zlib
from pathlib import Path

BEGIN = re.compile(rb"^RAYOS_FILE:BEGIN name=(\S+) size=(\d+) encoding=base64$")
END = re.compile(rb"^RAYOS_FILE:END name=(\S+) crc32=([0-9a-f]{8})$")
CANCELED = re.compile(rb"^RAYOS_FILE:CANCELED name=(\S+)$")
DATA = re.compile(rb"^[A-Za-z0-9+/]+={0,2}$")
LINE = 76  # characters; only the last one is shorter
NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")


class Catcher:
    """Takes the stream as it comes. Outside of files it passes at once, in them by lines."""

    def __init__(self, done=None, failed=None):
        self._done = done or (lambda name, data: None)
        self._failed = failed or (lambda name, why: None)
        self._line = bytearray()  # the one being received
        self._name = None         # of the file being received
        self._text = bytearray()
        self._size = 0

    def feed(self, received):
        shown = bytearray()
        for piece in received.splitlines(keepends=True):
            if self._name is None:
                shown += piece
            self._line += piece
            if piece.endswith(b"\n"):
                whole, self._line = bytes(self._line), bytearray()
                if self._name is None:
                    self._begin(whole.strip(b"\r\n"))
                elif not self._take(whole.strip(b"\r\n")):
                    shown += whole
        return bytes(shown)

    def _begin(self, line):
        match = BEGIN.match(line)
        if match:
            self._name, self._size = match.group(1).decode(), int(match.group(2))
            self._text = bytearray()

    def _left(self):
        """Characters still to come."""
        return (self._size + 2) // 3 * 4 - len(self._text)

    def _take(self, line):
        """A line inside a file; whether it is of the file's."""
        if len(line) == min(LINE, self._left()) and DATA.match(line):
            self._text += line
            return True
        if BEGIN.match(line):  # the end of the one before was lost, with a reset perhaps
            self._fail("its end is missing")
            self._begin(line)
            return False
        match = END.match(line) or CANCELED.match(line)
        if match and match.group(1).decode() == self._name:
            if match.re is CANCELED:
                self._fail("canceled")
            else:
                self._finish(int(match.group(2), 16))
        return False

    def _fail(self, why):
        name, self._name = self._name, None
        self._failed(name, why)

    def _finish(self, crc):
        try:
            data = base64.b64decode(bytes(self._text), validate=True)
        except binascii.Error:
            data = b""
        if len(data) != self._size or zlib.crc32(data) != crc:
            self._fail("damaged on its way")
            return
        name, self._name = self._name, None
        self._done(name, data)


def without_files(log):
    """A stream that came already, for people to read."""
    return Catcher().feed(log)


def store(folder, name, data, overwrite=False):
    """Write a file that was received; its path. A name that is taken gets a number."""
    if not NAME.match(name):
        raise ValueError(f"unfit as a file's name: {name!r}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path, number = folder / name, 1
    while path.exists() and not overwrite:
        number += 1
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    path.write_bytes(data)
    return path
