"""What a process has in memory."""

from __future__ import annotations

from pathlib import Path


def resident_mb(pid: int) -> float:
    """What a process has in memory; 0 when it is not there any more."""
    return _status_mb(pid, "VmRSS")


def peak_resident_mb(pid: int) -> float:
    """The most that a process has had in memory; 0 when it is not there any more."""
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int, field: str) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(field)), 0.0)
