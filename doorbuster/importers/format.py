"""A format of another tool's results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.run_builder import RunBuilder


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    matches: whether a file that begins with these bytes has it. read: adds the file's results.
    """

    name: str  # of `import --as`
    tool: str
    description: str
    matches: Callable[[bytes], bool]
    read: Callable[[InputFile, RunBuilder, ImportOptions], None]
    options: tuple[str, ...] = ()  # of ImportOptions, besides the labels
