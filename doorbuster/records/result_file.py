"""Results about several runs, stored as JSON in a folder above their run files.

Rules of this module:
- Written atomically: a reader never sees part of a file.
- A run looks for the file in its own folder and in the one above.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from doorbuster.errors import RecordError
from doorbuster.output import one_line

T = TypeVar("T")
_MAX_DIGITS = 18  # of whole numbers, which then fit into 64 bits


def write_result(file: Path, schema: str, content: Mapping[str, Any]) -> None:
    """Write the content with the name of its schema."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps({"schema": schema, **content}, indent=1) + "\n", encoding="utf-8")
    draft.replace(file)


def find_result(run_file: Path, name: str) -> Path | None:
    """The file of this name that a run file belongs to, if there is one."""
    files = (folder / name for folder in (run_file.parent, run_file.parent.parent))
    return next((file for file in files if file.is_file()), None)


def read_result(file: Path, schema: str, kind: type[T]) -> T:
    """The content as a `kind`, whose types are checked.

    Raises: RecordError for a file that cannot be read, another schema, or other content.
    """
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text, parse_float=_finite, parse_int=_whole, parse_constant=_finite)
        if not isinstance(found, dict) or "schema" not in found:
            raise ValueError("not a JSON object with a schema")
        if found.pop("schema") != schema:
            raise RecordError(f"{file}: not a result of this version; make it again")
        return TypeAdapter(kind).validate_json(json.dumps(found), strict=True)
    except RecursionError:
        reason = "nested too deeply"
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (OSError, ValueError) as error:
        reason = str(error)
    raise RecordError(f"{file}: cannot be read: {one_line(reason, 200)}; make it again")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{text[:20]}... has more than {_MAX_DIGITS} digits")
    return int(text)
