"""What tests of observed sources share."""

from __future__ import annotations

import urllib.error
import urllib.request


def values(samples):
    """Name and labels to value."""
    return {(sample.name, sample.labels): sample.value for sample in samples}


def post(port, path, body, **headers):
    """The status with which a receiver on this machine answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
