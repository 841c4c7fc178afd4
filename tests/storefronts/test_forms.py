"""Forms: found on a page, filled in and sent as a browser does."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from doorbuster.storefronts import Catalogue, Rejected, Storefront
from doorbuster.storefronts.forms import form_on, submit

PAGE = """
<form action="/search"><input name="q"></form>
<FORM method='POST' action="/basket/add/17/?next=%2Fa&amp;b=1">
  <input type="hidden" name="token" value="a&quot;b">
  <input name=quantity value=1 type=number><input type=checkbox name=gift>
  <input type=radio name=size value=M checked>
  <input type="submit" name="go" value="Add"><select name="colour"></select>
</FORM>
<form method="post"><input type="hidden" name="token" value="own"><input name="email"></form>
"""


@dataclass
class Answer:
    """A page that was fetched."""

    text: str
    url: str = "http://shop.example/p/17?x=1"
    status_code: int = 200
    cause: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        raise ValueError("a page")


def test_a_form_is_found_by_its_action_with_the_fields_a_browser_sends():
    form = form_on(Answer(PAGE), to="/basket/add/")
    assert form.action == "http://shop.example/basket/add/17/?next=%2Fa&b=1"
    assert form.fields == {"token": 'a"b', "quantity": "1", "size": "M"}


def test_preset_texts_and_choices_of_a_form_are_sent():
    form = """<form method="post">
      <textarea name="about" rows="2">
Warm &amp; soft</textarea><textarea name="empty"></textarea>
      <select name="size"><option value="S">S<option value="M" selected>M</select>
      <select name="colour"><option> red </option><option value="b">blue</option></select>
      <select name="none"></select><select><option value="nameless">x</option></select>
    </form>"""
    assert form_on(Answer(form)).fields == {
        "about": "Warm & soft", "empty": "", "size": "M", "colour": "red",
    }  # fmt: skip


def test_a_form_without_an_action_is_used_when_no_other_matches():
    form = form_on(Answer(PAGE), to="/checkout/")
    assert form.action == "http://shop.example/p/17?x=1"
    assert form.fields == {"token": "own", "email": ""}


def test_without_a_target_the_first_post_form_is_used():
    assert form_on(Answer(PAGE)).fields["token"] == 'a"b'


@pytest.mark.parametrize("page", ["", "<form action=/search><input name=q></form>", "<h1>We are busy</h1>"])
def test_a_page_without_the_form_is_rejected(page):
    with pytest.raises(Rejected) as refusal:
        form_on(Answer(page), to="/checkout/")
    assert refusal.value.cause == "page_without_form"


def test_a_form_is_sent_with_its_hidden_fields_and_a_referrer():
    sent = []

    class Client:
        def request(self, method: str, url: str, **options: Any) -> Answer:
            sent.append((method, url, options))
            return Answer("thank you")

    shop = Storefront(Client(), channel="web", catalogue=Catalogue((), (), (), ()), rng=Random(1))
    assert submit(shop, Answer(PAGE), {"quantity": "3"}, to="/basket/add/").text == "thank you"
    assert sent == [
        (
            "POST",
            "http://shop.example/basket/add/17/?next=%2Fa&b=1",
            {
                "data": {"token": 'a"b', "quantity": "3", "size": "M"},
                "headers": {"Referer": "http://shop.example/p/17?x=1"},
            },
        )
    ]
