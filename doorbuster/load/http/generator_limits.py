"""Limits of the generator's own process and machine: which one an error is about, and how close it is."""

from __future__ import annotations

import errno
from typing import Final

try:
    import resource
except ImportError:  # pragma: no cover - Windows
    resource = None  # type: ignore[assignment]

NO_DESCRIPTORS: Final = "no_descriptors"
NO_PORTS: Final = "no_ports"
NO_MEMORY: Final = "no_memory"
NO_THREADS: Final = "no_threads"
# Descriptors that connections leave to the rest of the process: logs, the run file, name lookups, reports.
RESERVED_DESCRIPTORS: Final = 32
_UNLIMITED: Final = 1 << 30
_CAUSES: Final = {
    errno.EMFILE: NO_DESCRIPTORS,
    errno.ENFILE: NO_DESCRIPTORS,
    errno.ENOBUFS: NO_MEMORY,
    errno.ENOMEM: NO_MEMORY,
    errno.EADDRINUSE: NO_PORTS,
}


def limit_cause(error: BaseException) -> str:
    """The limit that an error is about; "" for another error."""
    if isinstance(error, OSError):
        return _CAUSES.get(error.errno or 0, "")
    if isinstance(error, MemoryError):
        return NO_MEMORY
    return NO_THREADS if isinstance(error, RuntimeError) and "new thread" in str(error) else ""


def descriptor_limit() -> int:
    """How many descriptors this process may have."""
    if resource is None:
        return _UNLIMITED
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit() -> int:
    """Raise the limit as far as this process may; returns it."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            except (ValueError, OSError):  # a system whose kernel allows less than it states
                return descriptor_limit()
    return descriptor_limit()


def last_descriptor_of_connections() -> int:
    """The highest descriptor that a connection may have."""
    limit = descriptor_limit()
    return limit - min(RESERVED_DESCRIPTORS, limit // 4)
