"""A file to send, and what a store of files is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file to send. `sha256`: of its content, as bytes."""

    name: str
    path: Path
    sha256: bytes


class RetryableError(Exception):
    """The same request may succeed later; `pause_s` is what the server asks for."""

    def __init__(self, text: str, pause_s: float | None = None) -> None:
        super().__init__(text)
        self.pause_s = pause_s


class Store(Protocol):
    """Puts a file at one place."""

    def put(self, file: StoredFile) -> None:
        """Store one file. Raises: RetryableError, UploadError."""
        ...
