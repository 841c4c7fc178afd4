"""Masking of secrets in requests and responses."""

from __future__ import annotations

import pytest

from doorbuster.output.secret_masking import is_secret, masked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"username":"ann","password":"hunter2"}', '{"username":"ann","password":"***"}'),
        ('{"token": "abc def", "n": 1}', '{"token": "***", "n": 1}'),
        ('{"accessToken":"a\\"b","x":2}', '{"accessToken":"***","x":2}'),
        ("password=abc&quantity=1", "password=***&quantity=1"),
        ("/page?access_token=12&q=tea", "/page?access_token=***&q=tea"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer ***"),
        ("said Bearer abc.def", "said Bearer ***"),
        ("vendure-auth-token: 12ab", "vendure-auth-token: ***"),
        ("Set-Cookie: sid=1; Path=/", "Set-Cookie: ***; Path=/"),
        ('<input type="hidden" name="csrfmiddlewaretoken" value="rPE6">',
         '<input type="hidden" name="csrfmiddlewaretoken" value="***">'),
        ("http://shop.test/pay?token=abc&n=1", "http://shop.test/pay?token=***&n=1"),
        ("card_number=4111111111111111&cvv=123", "card_number=***&cvv=***"),
    ],
)  # fmt: skip
def test_secret_values_are_masked_and_the_rest_stays(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    ['{"author":"Jane","key":"k"}', "side: 1", "mutation ($user: String!, $password: String!)", "", "a=b"],
)
def test_other_values_are_unchanged(text):
    assert masked(text) == text


def test_masking_twice_changes_nothing():
    once = masked('{"password":"hunter2"} Authorization: Bearer x1 sid=7')
    assert masked(once) == once


@pytest.mark.parametrize("name", ["Cookie", "X-Api-Key", "sessionId", "CSRFToken", "vendure-auth-token"])
def test_names_that_are_secret(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["Content-Type", "author", "X-Channel", "Idempotency-Key", "position"])
def test_names_that_are_not(name):
    assert not is_secret(name)
