"""Marks a compiled class that interpreted classes may extend.

The client is plain Python; mypyc can compile it (docs/explanation/performance.md). Only the compiler reads
this decorator, so mypyc's package is not needed at run time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:
    _Class = TypeVar("_Class", bound=type)

    def mypyc_attr(**_: bool) -> Callable[[_Class], _Class]:
        return lambda marked: marked
