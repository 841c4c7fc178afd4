"""What customers tell each other, on pages and in JSON: reviews, questions to earlier buyers, answers."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from doorbuster.shop.domain.customer_service import Asked, NewAnswer, NewQuestion, NewReview
from doorbuster.shop.domain.orders import Checker
from doorbuster.shop.http.catalogue_api import form_fields, html, see_other, with_navigation
from doorbuster.shop.http.json_io import answer, body_of, item_json, read
from doorbuster.shop.http.query_service import QUERY_SERVICE, TIMING
from doorbuster.shop.refusals import NotFound

# ---- JSON


async def reviews(request: web.Request) -> web.Response:
    front, sku = request.app[QUERY_SERVICE], request.match_info["sku"]
    return await read(
        request,
        "reviews",
        (sku,),
        lambda db: front.design.reviews(db, sku),
        lambda found: {"sku": sku, "reviews": found},
    )


async def recommendations(request: web.Request) -> web.Response:
    front, sku = request.app[QUERY_SERVICE], request.match_info["sku"]
    return await read(
        request,
        "recommendations",
        (sku,),
        lambda db: front.design.recommendations(db, sku),
        lambda items: {"sku": sku, "products": [item_json(item) for item in items]},
    )


async def write_review(request: web.Request) -> web.Response:
    await _review(request, await body_of(request))
    return answer({"sku": request.match_info["sku"]}, status=201)


async def ask(request: web.Request) -> web.Response:
    asked = await _ask(request, await body_of(request))
    return answer({"question": asked.question, "notified": asked.notified}, status=201)


async def open_questions(request: web.Request) -> web.Response:
    front = request.app[QUERY_SERVICE]
    found = await front.ask("open_questions", front.design.open_questions, request[TIMING])
    return answer({"questions": found})


async def write_answer(request: web.Request) -> web.Response:
    sku = await _answer(request, await body_of(request))
    return answer({"question": int(request.match_info["question"]), "sku": sku}, status=201)


# ---- pages


async def post_review(request: web.Request) -> web.Response:
    await _review(request, await form_fields(request))
    return see_other(f"/product/{request.match_info['sku']}#reviews")


async def post_question(request: web.Request) -> web.Response:
    """The address names the question, so that the page behind it is not an older, kept one."""
    asked = await _ask(request, await form_fields(request))
    sku = request.match_info["sku"]
    return see_other(f"/product/{sku}?question={asked.question}#question-{asked.question}")


async def questions_page(request: web.Request) -> web.Response:
    front = request.app[QUERY_SERVICE]
    navigation, found = await with_navigation(front, request, "open_questions", front.design.open_questions)
    return html(request, front.pages.questions(navigation, found))


async def post_answer(request: web.Request) -> web.Response:
    sku = await _answer(request, await form_fields(request))
    question = request.match_info["question"]
    return see_other(f"/product/{sku}?question={question}#question-{question}")


# ---- both


async def _review(request: web.Request, fields: Any) -> None:
    front, sku, checker = request.app[QUERY_SERVICE], request.match_info["sku"], Checker(fields)
    written = NewReview(
        author=checker.text("author", 60),
        rating=checker.number("rating", 1, 5),
        title=checker.text("title", 80),
        text=checker.text("text", 2_000),
    )
    checker.finish()
    await front.ask("review", lambda db: front.design.review(db, sku, written), request[TIMING])
    front.forget_product(sku)


async def _ask(request: web.Request, fields: Any) -> Asked:
    front, sku, checker = request.app[QUERY_SERVICE], request.match_info["sku"], Checker(fields)
    asked = NewQuestion(author=checker.text("author", 60), text=checker.text("text", 500))
    checker.finish()
    made = await front.ask("question", lambda db: front.design.question(db, sku, asked), request[TIMING])
    front.forget_product(sku)
    return made


async def _answer(request: web.Request, fields: Any) -> str:
    front, checker = request.app[QUERY_SERVICE], Checker(fields)
    number = request.match_info["question"]
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise NotFound(f"there is no question {number!r}")
    told = NewAnswer(author=checker.text("author", 60), text=checker.text("text", 2_000))
    checker.finish()
    sku = await front.ask("answer", lambda db: front.design.answer(db, int(number), told), request[TIMING])
    front.forget_product(sku)
    return sku
