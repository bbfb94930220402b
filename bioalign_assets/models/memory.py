"""How much memory a device has, and how much of it is free."""

from pathlib import Path
from typing import Any

import torch

__all__ = ["free_memory", "total_memory"]

_MEMINFO = Path("/proc/meminfo")


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that can still be had on a device; None where the system does not tell.

    On a card that is what the driver calls free and what torch holds in reserve without using it; on a CPU, what
    Linux can give without swapping (``MemAvailable``).
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return _meminfo("MemAvailable")


def total_memory(device: torch.device) -> int | None:
    """Return the bytes that a device has in all; None where the system does not tell."""
    if device.type == "cuda":
        properties: Any = torch.cuda.get_device_properties(device)
        return int(properties.total_memory)
    return _meminfo("MemTotal")


def _meminfo(name: str) -> int | None:
    if not _MEMINFO.is_file():  # not Linux
        return None
    for line in _MEMINFO.read_text(encoding="ascii").splitlines():
        key, _, rest = line.partition(":")
        if key == name:
            return int(rest.split()[0]) * 1024
    return None
