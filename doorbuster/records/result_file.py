"""Results about several runs, stored as JSON in a folder above their run files.

Rules of this module:
- Written atomically: a reader never sees part of a file.
- A run looks for the file in its own folder and in the one above.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doorbuster.errors import RecordError


def write_result(file: Path, schema: str, content: Mapping[str, Any]) -> None:
    """Write the content with the name of its schema."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps({"schema": schema, **content}, indent=1) + "\n", encoding="utf-8")
    draft.replace(file)


def find_result(run_file: Path, name: str) -> Path | None:
    """The file of this name that a run file belongs to, if there is one."""
    files = (folder / name for folder in (run_file.parent, run_file.parent.parent))
    return next((file for file in files if file.is_file()), None)


def read_result(file: Path, schema: str) -> dict[str, Any]:
    """The content without its schema.

    Raises: RecordError for another schema; OSError, ValueError or KeyError for another file.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    if found.pop("schema") != schema:
        raise RecordError(f"{file}: not a result of this version; search or sweep again")
    return found
