"""Reads the YAML of a mapping file, which says what the columns and names of foreign data mean."""

from __future__ import annotations

from pathlib import Path

import yaml

from doorbuster.errors import UsageError


def read_mapping_file(path: Path) -> object:
    """The content of the file. Raises: UsageError if it cannot be read, or is not YAML in UTF-8."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: must be YAML in UTF-8: {' '.join(str(error).split())[:200]}") from error
