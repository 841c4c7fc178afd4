"""Masking of secrets in requests and responses."""

from __future__ import annotations

import time

import pytest

from doorbuster.output import secret_masking
from doorbuster.output.secret_masking import is_secret, mask_values, masked


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


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8080/?token=SECRET&x=1",
        "http://a:1/?a=b:c&token=SECRET",
        "Cookie: a=1; b=SECRET; c=2",
        "https://ann:SECRET@shop.example/",
        "{'token': 'SECRET'}",
        "('token', 'SECRET')",
        '{\\"token\\": \\"SECRET\\"}',
        "<token>SECRET</token>",
        '<input value="SECRET" name="token">',
        "?next=%3Ftoken%3DSECRET%26a",
        'form-data; name="token"\r\n\r\nSECRET\r\n',
        r'form-data; name=\"token\"\r\n\r\nSECRET\r\n',
        "Authorization: Digest username=a, response=SECRET",
        "Bearer SECRET",
        "eyJhbGciOiJI.SECRETSECRET.abc",
        "token = SECRET",
        "token: 'SECRET'",
        "PHPSESSID=SECRET",
        "x_api_key=SECRET",
        "https://h/#access_token=SECRET",
    ],
)  # fmt: skip
def test_no_form_of_a_secret_stays(text):
    assert "SECRET" not in masked(text)


def test_variables_are_masked_by_value_in_every_form(monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "p&ss w\u00f6rd")
    monkeypatch.setenv("SHOP_SESSION_TYPE", "wayland")
    secret_masking._known_values.cache_clear()
    for form in ("p&ss w\u00f6rd", "p%26ss%20w%C3%B6rd", "p%26ss+w%C3%B6rd", '"p&ss w\\u00f6rd"'):
        assert mask_values(f"said {form}.").replace('"', "") == "said ***."
    assert mask_values("wayland") == "wayland"
    monkeypatch.undo()
    secret_masking._known_values.cache_clear()


def test_masking_takes_time_in_proportion_to_the_text():
    for piece in ("a:", "<input ", 'name="', "://a@", "%3F", '\\"', "eyJ", "token=", "'"):
        started = time.process_time()
        masked(piece * 40_000)
        assert time.process_time() - started < 5, piece


def test_the_word_digest_in_a_sentence_is_not_a_credential():
    assert mask_values("Print the digest of the latest week.") == "Print the digest of the latest week."
