"""What a measurement has to say of the machine and the day it was made on."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

__all__ = ["describe", "processor"]


def describe() -> dict[str, Any]:
    """Machine, Python, date, load and commit, as words and numbers for JSON."""
    found: dict[str, Any] = {
        "machine": f"{processor()}, {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "date": date.today().isoformat(),
        "commit": _commit(),
    }
    if hasattr(os, "getloadavg"):
        found["load average before"] = round(os.getloadavg()[0], 2)
    return found


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(s.partition(":")[2].strip() for s in lines if s.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "processor unknown"


def _commit() -> str | None:
    """Of the checkout that runs; None for an installed package."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
