"""Refusals of the shop; each becomes an HTML page or an RFC 9457 problem document.

They are responses to a customer, not errors of the program, so none is a DoorbusterError.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with a form or a JSON body."""

    field: str
    rule: str


class Refusal(Exception):  # noqa: N818  a response, not an error
    """Base: `slug` is the machine-readable name, in `data-problem` and at the end of the problem type."""

    slug = "refused"
    title = "Sorry, we cannot do that"
    status = 400

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems: tuple[FieldProblem, ...] = ()
        self.retry_after_s: int | None = None
        self.reload_s: float | None = None


class BadRequest(Refusal):
    slug = "bad-request"
    title = "Please check what you entered"

    def __init__(self, problems: tuple[FieldProblem, ...]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.rule}" for problem in problems))
        self.problems = problems


class EmptyBasket(Refusal):
    slug = "empty-basket"
    title = "Your basket is empty"


class NotFound(Refusal):
    slug = "not-found"
    title = "We could not find that"
    status = 404


class NoBasket(NotFound):
    """The basket of a cookie or a path does not exist, or no longer."""


class SoldOut(Refusal):
    slug = "sold-out"
    title = "Sorry, that has just sold out"
    status = 409

    def __init__(self, sku: str, name: str) -> None:
        super().__init__(f"{name} ({sku}) has sold out, or there are fewer left than you asked for")
        self.sku = sku


class KeyReused(Refusal):
    slug = "idempotency-key-reused"
    title = "This order key was used for another order"
    status = 422


class Busy(Refusal):
    slug = "busy"
    title = "Sorry, we are very busy"
    status = 503

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("More people are shopping than we can serve well. Your basket is kept for you.")
        self.retry_after_s = retry_after_s


class SignedOut(Refusal):
    slug = "sign-in"
    title = "Please sign in"
    status = 401


class WrongPassword(Refusal):
    slug = "wrong-password"
    title = "Wrong e-mail address or password"
    status = 401


class PasswordExpired(Refusal):
    """An account of the old platform, whose password was not migrated."""

    slug = "password-expired"
    title = "Please choose a new password"
    status = 403


class AccountExists(Refusal):
    slug = "account-exists"
    title = "This e-mail address already has an account"
    status = 409


class WrongState(Refusal):
    """The state of the order does not allow the change; `slug` names that state."""

    title = "This order can no longer be changed"
    status = 409

    def __init__(self, state: str, detail: str) -> None:
        super().__init__(detail)
        self.slug = "not-for-collection" if state == "placed" else f"already-{state.replace('_', '-')}"


class DependencyFailed(Refusal):
    """A service behind the shop fails."""

    title = "Sorry, part of the shop is unavailable"
    status = 503

    def __init__(self, part: str) -> None:
        super().__init__(f"our {part} service is not responding; nothing was ordered or charged")
        self.slug = f"{part}-unavailable"


class HoldingPage(Refusal):
    """A page shown instead of the shop, which reloads itself; its status is 200."""

    slug = "holding-page"
    title = "Thank you for your patience"
    status = 200

    def __init__(self, reload_s: float) -> None:
        super().__init__(
            "We are busier than we have ever been. "
            f"This page tries again by itself every {reload_s:g} seconds; there is nothing you need to do."
        )
        self.reload_s = reload_s


class NotAllowed(Refusal):
    slug = "not-allowed"
    title = "Access denied"
    status = 403
