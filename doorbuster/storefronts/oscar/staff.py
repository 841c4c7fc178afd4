"""What staff of an oscar shop do in its dashboard: sign in, look an order up, cancel it, price, stock up.

The login is in the environment variables DOORBUSTER_OSCAR_USER (the e-mail) and DOORBUSTER_OSCAR_PASSWORD;
there is no usual one. The session comes as oscar's cookie, so one login serves all agents.

Oscar itself knows no statuses: a shop lists them in OSCAR_ORDER_STATUS_PIPELINE. An order can be cancelled
where the pipeline leads from its status to one called "cancelled" (or "canceled"; upper or lower case), and
its goods are for sale again only if the shop's own order processing gives them back.

Prices are those of the first stock record, which is the one oscar sells from, without tax as in its own
pricing. A product's form is sent whole, as a browser does, with one field changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from doorbuster.storefronts.forms import Form, form_on
from doorbuster.storefronts.http import Client, HttpResponse
from doorbuster.storefronts.protocol import Rejected, checked

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
_WRONG = re.compile(r'<span class="error-block">(.*?)</span>', re.DOTALL)
_STOCK_RECORD = "stockrecords-0-"


def is_cancelled(status: str) -> bool:
    return status.strip().lower() in _CANCELLED


def sign_in(client: Client) -> tuple[str, ...]:
    """The session of staff, which the client's own cookies hold too; nothing where the login is not ours."""
    user, password = os.environ.get("DOORBUSTER_OSCAR_USER"), os.environ.get("DOORBUSTER_OSCAR_PASSWORD")
    if not user or not password:
        return ()
    page = client.request("GET", _LOGIN)
    if page.status_code == 404:
        return ()  # the shop keeps its dashboard elsewhere
    answer = submit(client, page, {"username": user, "password": password}, allow_redirects=False)
    session = _SESSION.search(answer.headers.get("set-cookie", ""))
    return (session[1],) if session and 300 <= answer.status_code < 400 else ()


def submit(client: Client, page: HttpResponse, fields: dict[str, str], **options: Any) -> HttpResponse:
    """Send the form of a page to where the page came from, with the token that Django asks for.

    Raises: Rejected if the page did not come, or has no form.
    """
    token = _CSRF.search(checked(page).text)
    if token is None:
        raise Rejected("page_without_form", page.text[:200])
    # Over https, Django looks at the referrer too.
    return client.request(
        "POST", page.url, data={**fields, "csrfmiddlewaretoken": token[1]},
        headers={"Referer": page.url}, **options,
    )  # fmt: skip


def order_page(client: Client, ref: str, staff: tuple[str, ...] = ()) -> HttpResponse:
    """The dashboard's page of one order.

    Raises: Rejected for an order that is not there (order_without_reference), or to whom is not staff.
    """
    cookies = {"cookies": {"sessionid": staff[0]}} if staff else {}
    page = dashboard_page(client, f"{ORDERS}/{quote(ref, safe='')}/", **cookies)
    if page.status_code == 404:
        raise Rejected("order_without_reference", ref)
    if f"#{ref}" not in page.text:
        raise Rejected("order_without_reference", page.text[:200])
    return page


def cancel_order(client: Client, ref: str) -> None:
    """Move an order to "cancelled", as staff do by hand.

    Raises: Rejected if the pipeline of the shop does not lead there; by rule if it is cancelled already.
    """
    page = as_staff(client, lambda: order_page(client, ref))
    status = _STATUS.search(page.text)
    if status is not None and is_cancelled(status[1]):
        raise Rejected("already_cancelled", ref, expected=True)
    form = _STATUS_FORM.search(page.text)
    wanted = [choice for choice in _OPTION.findall(form[0] if form else "") if is_cancelled(choice)]
    if not wanted:
        raise Rejected(
            "cannot_be_cancelled", f"OSCAR_ORDER_STATUS_PIPELINE leads from {ref} to no such status"
        )
    fields = {"order_action": "change_order_status", "new_status": wanted[0]}
    done = _STATUS.search(checked(submit(client, page, fields)).text)
    if done is None or not is_cancelled(done[1]):
        raise Rejected("cannot_be_cancelled", f"{ref} is still {done[1] if done else 'in an unknown status'}")


def stock_record(client: Client, sku: str) -> dict[str, str]:
    """What the dashboard shows of a product's first stock record, by field: price, num_in_stock …"""
    fields = as_staff(client, lambda: product_form(client, sku)).fields
    return {
        name.removeprefix(_STOCK_RECORD): value
        for name, value in fields.items()
        if name.startswith(_STOCK_RECORD)
    }


def change_stock_record(client: Client, sku: str, field: str, value: str) -> None:
    """Set one field of a product's first stock record.

    Raises: Rejected (not_changed) with what the form says is wrong.
    """
    form = as_staff(client, lambda: product_form(client, sku))
    fields = {**form.fields, _STOCK_RECORD + field: value}
    done = client.request(
        "POST", form.action, data=fields, headers={"Referer": form.action}, allow_redirects=False
    )
    if not 300 <= done.status_code < 400:
        said = _WRONG.findall(checked(done).text)
        wrong = " ".join(re.sub(r"<[^>]*>", " ", " ".join(said)).split())
        raise Rejected("not_changed", wrong[:200] or done.text[:200])


def product_form(client: Client, sku: str) -> Form:
    """The form of the product with this UPC, or without one of this number.

    Raises: Rejected (unknown_sku) if there is none; (staff_login) to whom is not staff.
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
    """Raises: Rejected (staff_login) to whom is not staff."""
    page = client.request("GET", url, **options)
    if page.status_code != 404 and _LOGIN_FORM in checked(page).text:
        raise Rejected("staff_login", "the dashboard asks for a login; see DOORBUSTER_OSCAR_USER")
    return page


def as_staff(client: Client, act: Callable[[], T]) -> T:
    """What `act` gives, if need be after signing in: the session of an earlier call is in the cookies."""
    try:
        return act()
    except Rejected as refusal:
        if refusal.cause != "staff_login" or not sign_in(client):
            raise
    return act()
