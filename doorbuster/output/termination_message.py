"""The last word of a container: a file that Kubernetes shows as the termination message of the pod."""

from __future__ import annotations

import os
from pathlib import Path

from doorbuster.output.printable import clean
from doorbuster.output.secret_masking import masked

VARIABLE = "DOORBUSTER_TERMINATION_MESSAGE"
MAX_BYTES = 4096  # Kubernetes reads no more


def write_termination_message(text: str) -> str:
    """Replace the message if the variable names a file; returns why it could not be written, else ""."""
    name = os.environ.get(VARIABLE)
    if not name:
        return ""
    content = clean(masked(text)).encode()[:MAX_BYTES]
    try:
        Path(name).write_bytes(content.decode(errors="ignore").encode())
    except OSError as error:
        return f"{VARIABLE}: cannot write {name}: {error.strerror}"
    return ""
