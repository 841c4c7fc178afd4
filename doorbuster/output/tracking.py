"""What code below the command line is given to report progress with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")
Advance = Callable[[float], None]
"""Takes the size of each part done, in the unit of the whole."""


class Track(Protocol):
    """Returns the items while it shows how many of them were used; `what` names the work."""

    def __call__(self, what: str, items: Iterable[T]) -> Iterator[T]: ...


def untracked(what: str, items: Iterable[T]) -> Iterator[T]:  # noqa: ARG001  the signature of Track
    """The items, without progress."""
    return iter(items)


def unseen(part: float) -> None:
    """An `Advance` that shows nothing."""
