"""Staff actions in oscar's dashboard: sign in, look up and cancel orders, set prices and stock.

The login comes from the environment variables DOORBUSTER_OSCAR_USER (the e-mail) and
DOORBUSTER_OSCAR_PASSWORD; there is no default. The session is a cookie, so one login serves all agents.

Oscar defines no order statuses: each shop lists its own in OSCAR_ORDER_STATUS_PIPELINE. An order can be
cancelled if the pipeline leads from its status to "cancelled" or "canceled" (in any case), and its goods are
for sale again only if the shop's own order processing restores the stock.

Prices are those of the first stock record, the one oscar sells from, without tax as in its own pricing. A
product's form is sent complete, as a browser does, with one field changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from doorbuster.storefronts.base import Rejected, checked
from doorbuster.storefronts.forms import Form, form_on
from doorbuster.storefronts.http import Client, HttpResponse

T = TypeVar("T")

ORDERS = "/dashboard/orders"
PRODUCTS = "/dashboard/catalogue"
_LOGIN = "/dashboard/login/"
_SESSION = re.compile(r"\bsessionid=([^;,\s]+)")
_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_LOGIN_FORM = 'id="dashboard_login_form"'
_STATUS_FORM = re.compile(r'id="order_status_form".*?</form>', re.DOTALL)
_OPTION = re.compile(r'<option value="([^"]*)"')
_STATUS = re.compile(r"<th>Status</th>\s*</tr>\s*<tr>(?:\s*<td>[^<]*</td>){3}\s*<td>([^<]*)</td>")
_CANCELLED = ("cancelled", "canceled")
_PRODUCT = re.compile(rf"{PRODUCTS}/products/(\d+)/")
_ERROR = re.compile(r'<span class="error-block">(.*?)</span>', re.DOTALL)
_STOCK_RECORD = "stockrecords-0-"


def is_cancelled(status: str) -> bool:
    return status.strip().lower() in _CANCELLED


def sign_in(client: Client) -> tuple[str, ...]:
    """The staff session, which the client's cookies hold too; empty if the login is refused."""
    user, password = os.environ.get("DOORBUSTER_OSCAR_USER"), os.environ.get("DOORBUSTER_OSCAR_PASSWORD")
    if not user or not password:
        return ()
    page = client.request("GET", _LOGIN)
    if page.status_code == 404:
        return ()  # the shop has its dashboard elsewhere
    answer = submit(client, page, {"username": user, "password": password}, allow_redirects=False)
    session = _SESSION.search(answer.headers.get("set-cookie", ""))
    return (session[1],) if session and 300 <= answer.status_code < 400 else ()


def submit(client: Client, page: HttpResponse, fields: dict[str, str], **options: Any) -> HttpResponse:
    """Send the form of a page to the URL of the page, with Django's CSRF token.

    Raises: Rejected if the page is an error or has no form.
    """
    token = _CSRF.search(checked(page).text)
    if token is None:
        raise Rejected("page_without_form", page.text[:200])
    # Over https, Django also checks the referrer.
    return client.request(
        "POST", page.url, data={**fields, "csrfmiddlewaretoken": token[1]},
        headers={"Referer": page.url}, **options,
    )  # fmt: skip


def order_page(client: Client, ref: str, staff: tuple[str, ...] = ()) -> HttpResponse:
    """The dashboard's page of one order.

    Raises: Rejected for an unknown order (order_without_reference) or without a login (staff_login).
    """
    cookies = {"cookies": {"sessionid": staff[0]}} if staff else {}
    page = dashboard_page(client, f"{ORDERS}/{quote(ref, safe='')}/", **cookies)
    if page.status_code == 404:
        raise Rejected("order_without_reference", ref)
    if f"#{ref}" not in page.text:
        raise Rejected("order_without_reference", page.text[:200])
    return page


def cancel_order(client: Client, ref: str) -> None:
    """Set the status of an order to "cancelled", as staff do.

    Raises: Rejected if the pipeline does not lead there; as expected if it is cancelled already.
    """
    page = as_staff(client, lambda: order_page(client, ref))
    status = _STATUS.search(page.text)
    if status is not None and is_cancelled(status[1]):
        raise Rejected("already_cancelled", ref, expected=True)
    form = _STATUS_FORM.search(page.text)
    wanted = [choice for choice in _OPTION.findall(form[0] if form else "") if is_cancelled(choice)]
    if not wanted:
        raise Rejected(
            "cannot_be_cancelled",
            f"OSCAR_ORDER_STATUS_PIPELINE has no step from the status of {ref} to cancelled",
        )
    fields = {"order_action": "change_order_status", "new_status": wanted[0]}
    done = _STATUS.search(checked(submit(client, page, fields)).text)
    if done is None or not is_cancelled(done[1]):
        raise Rejected("cannot_be_cancelled", f"{ref} is still {done[1] if done else 'in an unknown status'}")


def stock_record(client: Client, sku: str) -> dict[str, str]:
    """A product's first stock record by field: price, num_in_stock …"""
    fields = as_staff(client, lambda: product_form(client, sku)).fields
    return {
        name.removeprefix(_STOCK_RECORD): value
        for name, value in fields.items()
        if name.startswith(_STOCK_RECORD)
    }


def change_stock_record(client: Client, sku: str, field: str, value: str) -> None:
    """Set one field of a product's first stock record.

    Raises: Rejected (not_changed) with the form's error messages.
    """
    form = as_staff(client, lambda: product_form(client, sku))
    fields = {**form.fields, _STOCK_RECORD + field: value}
    done = client.request(
        "POST", form.action, data=fields, headers={"Referer": form.action}, allow_redirects=False
    )
    if not 300 <= done.status_code < 400:
        messages = _ERROR.findall(checked(done).text)
        shown = " ".join(re.sub(r"<[^>]*>", " ", " ".join(messages)).split())
        raise Rejected("not_changed", shown[:200] or done.text[:200])


def product_form(client: Client, sku: str) -> Form:
    """The form of the product with this UPC, or with this number and no UPC.

    Raises: Rejected (unknown_sku) if there is none; (staff_login) without a login.
    """
    listed = dashboard_page(client, f"{PRODUCTS}/?upc={quote(sku, safe='')}&title=").text
    numbers = _PRODUCT.findall(listed)
    for number in dict.fromkeys([*numbers, *([sku] if sku.isdigit() else [])]):
        page = client.request("GET", f"{PRODUCTS}/products/{number}/")
        if page.status_code == 404:
            continue
        form = form_on(checked(page), to=f"/products/{number}/")
        if form.fields.get("upc") == sku or (not form.fields.get("upc") and number == sku):
            return form
    raise Rejected("unknown_sku", sku)


def dashboard_page(client: Client, url: str, **options: Any) -> HttpResponse:
    """Raises: Rejected (staff_login) without a login."""
    page = client.request("GET", url, **options)
    if page.status_code != 404 and _LOGIN_FORM in checked(page).text:
        raise Rejected("staff_login", "the dashboard requires a login; set DOORBUSTER_OSCAR_USER")
    return page


def as_staff(client: Client, act: Callable[[], T]) -> T:
    """The result of `act`, after signing in if need be; the session stays in the client's cookies."""
    try:
        return act()
    except Rejected as refusal:
        if refusal.cause != "staff_login" or not sign_in(client):
            raise
    return act()
