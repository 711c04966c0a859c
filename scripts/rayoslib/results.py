# SPDX-License-Identifier: Apache-2.0
"""Counts of passed and failed checks, one file a kind, summed by scripts/run-tests."""

import json
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
RESULTS = TOP / "build" / "results"


def write(kind, passed, failed, failures=(), skipped=()):
    """Record what one kind of test came to."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    record = {"kind": kind, "passed": passed, "failed": failed, "failures": list(failures),
              "skipped": list(skipped)}
    (RESULTS / f"{kind}.json").write_text(json.dumps(record, indent=1) + "\n")


def read(kind):
    """The record of a kind, or None when it did not run."""
    path = RESULTS / f"{kind}.json"
    return json.loads(path.read_text()) if path.exists() else None


def clear():
    """Forget earlier runs, so that a kind that does not run is noticed."""
    for path in RESULTS.glob("*.json"):
        path.unlink()
