"""The exception of a failed request.

Not compiled (hatch_build.py): a class of a compiled module cannot also be an exception of requests.
"""

from __future__ import annotations

from doorbuster.errors import RunError

DETAIL_CHARACTERS = 200


class RequestFailed(RunError):  # noqa: N818 - reads as what happened, like its siblings
    """A request that failed: raised inside the client, handed to the caller as `response.error`.

    It leaves the client as an exception only where the caller asks for it: `raise_for_status()`, and reading
    a body that cannot be read (`.content`, `.text`, `.json()`, `.iter_content()`).
    """

    def __init__(self, cause: str, detail: str) -> None:
        self.cause = cause
        self.detail = detail[:DETAIL_CHARACTERS]
        super().__init__(f"{cause}: {self.detail}" if detail else cause)

    def __reduce__(self) -> tuple[type[RequestFailed], tuple[str, str]]:
        return RequestFailed, (self.cause, self.detail)
