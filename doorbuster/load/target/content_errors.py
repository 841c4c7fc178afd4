"""Tells exceptions that an answer's content causes from bugs of a driver.

A driver reads `found["price"]` or `int(text)` of what the shop sent. When the shop sends something else, that
raises in the driver, but the shop is at fault. Rules:
- Without an answer in this step nothing was parsed: the driver is at fault.
- Exceptions of reading and converting data count as the shop's, with the driver's line in the detail.
- Exceptions that show a mistake in the program never do: an unknown name, a wrong call, an attribute that an
  object of the driver lacks.
"""

from __future__ import annotations

import re
import struct
import zlib
from json import JSONDecodeError
from typing import Final

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.target.driver_lookup import place_in_driver
from doorbuster.output import exception_text, named_exception
from doorbuster.storefronts import Rejected

UNEXPECTED_CONTENT: Final = "unexpected_content"
_DATA_ERRORS: Final = (
    LookupError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError, EOFError,
    RecursionError, SyntaxError, struct.error, zlib.error,
)  # fmt: skip
"""Raised while data is read; SyntaxError, because XML parsers derive their errors from it."""
_PARSERS: Final = re.compile(r"(?:Decode|Decoding|Parse|Parser|Parsing|Validation|XMLSyntax)Error$")
_DATA_TYPES: Final = (
    type(None), bool, int, float, str, bytes, list, tuple, dict, set, re.Match,
)  # fmt: skip
_WRONG_CALL: Final = re.compile(
    r"positional argument|keyword argument|required argument|takes (?:no|exactly|at (?:most|least)) |"
    r"not callable|abstract|super\(\)|unbound method"
)
_EXCERPT: Final = 200


def content_error(error: BaseException, last_cause: str | None) -> Rejected | None:
    """The refusal by which the step fails; None if the driver is at fault.

    Args:
        error: what the driver raised.
        last_cause: of the step's latest request, "" if it succeeded; it then explains the content. None: the
            step has sent no request.
    """
    if isinstance(error, RequestFailed):  # a body that cannot be decoded, or raise_for_status()
        return Rejected(last_cause or error.cause, error.detail)
    if isinstance(error, JSONDecodeError):
        return Rejected(last_cause or UNEXPECTED_CONTENT, str(error.doc)[:_EXCERPT])
    if last_cause is None or not is_data_error(error):
        return None
    detail = f"{named_exception(error)[:_EXCERPT]}{place_in_driver(error)}"
    return Rejected(last_cause or UNEXPECTED_CONTENT, detail)


def is_data_error(error: BaseException) -> bool:
    """Whether an exception is one of reading data, and not one of a wrong program."""
    if isinstance(error, AttributeError):
        return error.name is not None and isinstance(error.obj, _DATA_TYPES)
    if type(error) in (SyntaxError, IndentationError, TabError):
        return False
    if isinstance(error, TypeError) and _WRONG_CALL.search(exception_text(error)):
        return False
    return isinstance(error, _DATA_ERRORS) or _PARSERS.search(type(error).__name__) is not None
