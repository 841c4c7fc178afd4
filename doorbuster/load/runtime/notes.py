"""Messages for the user that do not end a run."""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("doorbuster")


def note(text: str) -> None:
    """Tell the user something that does not end the run; `doorbuster run` prints it too."""
    logger.warning("%s", text)
    sys.stderr.write(f"doorbuster: note: {text}\n")
