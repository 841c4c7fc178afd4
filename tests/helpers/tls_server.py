"""What tests of TLS servers in processes of their own share: a certificate, a free port, the wait for it."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path


def make_certificate(folder: Path) -> None:
    """Write key.pem and the self-signed cert.pem of 127.0.0.1, by openssl."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", "key.pem", "-out", "cert.pem", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def is_listening(port: int, *, limit_s: float = 10.0) -> bool:
    """Whether the port accepts connections before the limit."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
