"""How much of the machine the check of one model may take."""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
from dataclasses import dataclass

# The runtime and onnx open a few of the system's files; nothing else is to be opened, let alone written.
_OPEN_FILES = 32
_WRITTEN_BYTES = 1_000_000
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one check may take: address space, processor time (whole seconds), and time by the clock."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float

    def __str__(self) -> str:
        return f"{self.memory_bytes / 1e6:,.0f} MB of memory and {self.cpu_seconds} s of processor time"


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """Allowances by the size of the file.

    A check takes 0.22 GB of address space and three times the file (its bytes, its message, and a copy in the
    checker or the runtime); half a second of processor time for a few kB, 4 s for 436 MB.

    Attributes:
        memory_bytes: Address space for any file.
        memory_per_byte: Address space for each byte of the file on top.
        cpu_seconds: Processor time for any file.
        bytes_per_cpu_second: A second of processor time on top for so many bytes of the file.
        wall_factor: Times the processor time, for machines that are busy with other things.
    """

    memory_bytes: int = 1_000_000_000
    memory_per_byte: float = 4.0
    cpu_seconds: float = 20.0
    bytes_per_cpu_second: int = 10_000_000
    wall_factor: float = 3.0

    def allowance(self, size_bytes: int) -> Allowance:
        """For the check of a file of this size."""
        cpu_seconds = math.ceil(self.cpu_seconds + size_bytes / self.bytes_per_cpu_second)
        memory_bytes = self.memory_bytes + math.ceil(self.memory_per_byte * size_bytes)
        return Allowance(memory_bytes, cpu_seconds, cpu_seconds * self.wall_factor)


def confine(allowance: Allowance) -> None:
    """Holds this process to the allowance from here on. It cannot be undone."""
    for kind, limit in (
        (resource.RLIMIT_AS, allowance.memory_bytes),
        (resource.RLIMIT_FSIZE, _WRITTEN_BYTES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))
    # The signal at the soft limit says what happened; the one at the hard limit cannot be ignored.
    resource.setrlimit(resource.RLIMIT_CPU, (allowance.cpu_seconds, allowance.cpu_seconds + 1))


def end_with(parent_id: int) -> None:
    """Has the kernel kill this process when its parent ends, however that ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent_id:
            sys.exit("the parent is gone")
