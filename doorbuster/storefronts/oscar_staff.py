"""What staff of an oscar shop do in its dashboard: sign in, look an order up, cancel it.

The login is in the environment variables DOORBUSTER_OSCAR_USER (the e-mail) and DOORBUSTER_OSCAR_PASSWORD;
there is no usual one. The session comes as oscar's cookie, so one login serves all agents.

Oscar itself knows no statuses: a shop lists them in OSCAR_ORDER_STATUS_PIPELINE. An order can be cancelled
where the pipeline leads from its status to one called "cancelled" (or "canceled"; upper or lower case), and
its goods are for sale again only if the shop's own order processing gives them back.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote

from doorbuster.storefronts.protocol import Client, Rejected, Response

ORDERS = "/dashboard/orders"
_LOGIN = "/dashboard/login/"
_SESSION = re.compile(r"\bsessionid=([^;,\s]+)")
_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_LOGIN_FORM = 'id="dashboard_login_form"'
_STATUS_FORM = re.compile(r'id="order_status_form".*?</form>', re.DOTALL)
_OPTION = re.compile(r'<option value="([^"]*)"')
_STATUS = re.compile(r"<th>Status</th>\s*</tr>\s*<tr>(?:\s*<td>[^<]*</td>){3}\s*<td>([^<]*)</td>")
_CANCELLED = ("cancelled", "canceled")


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


def submit(client: Client, page: Response, fields: dict[str, str], **options: Any) -> Response:
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


def order_page(client: Client, ref: str, staff: tuple[str, ...] = ()) -> Response:
    """The dashboard's page of one order.

    Raises: Rejected for an order that is not there (order_without_reference), or to whom is not staff.
    """
    cookies = {"cookies": {"sessionid": staff[0]}} if staff else {}
    page = client.request("GET", f"{ORDERS}/{quote(ref, safe='')}/", **cookies)
    if page.status_code == 404:
        raise Rejected("order_without_reference", ref)
    if _LOGIN_FORM in checked(page).text:
        raise Rejected("staff_login", "the dashboard asks for a login; see DOORBUSTER_OSCAR_USER")
    if f"#{ref}" not in page.text:
        raise Rejected("order_without_reference", page.text[:200])
    return page


def cancel_order(client: Client, ref: str) -> None:
    """Move an order to "cancelled", as staff do by hand.

    Raises: Rejected if the pipeline of the shop does not lead there; by rule if it is cancelled already.
    """
    try:
        page = order_page(client, ref)
    except Rejected as refusal:
        if refusal.cause != "staff_login" or not sign_in(client):
            raise
        page = order_page(client, ref)
    status = _STATUS.search(page.text)
    if status is not None and is_cancelled(status[1]):
        raise Rejected("already_cancelled", ref, by_rule=True)
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


def checked(response: Response) -> Response:
    """The response, or Rejected with what went wrong on the way."""
    if response.cause:
        raise Rejected(response.cause, response.text[:200] if response.status_code else "")
    return response
