"""Reviews, questions to earlier buyers and their answers, as HTML and JSON."""

from __future__ import annotations

from aiohttp import web

from doorbuster.shop.domain.customer_service import NewAnswer, NewQuestion, NewReview
from doorbuster.shop.domain.orders import FormParser
from doorbuster.shop.http.open_shop import OPEN_SHOP, TIMING
from doorbuster.shop.http.responses import change_response, read_fields, show, show_document
from doorbuster.shop.http_errors import NotFound


async def reviews(request: web.Request) -> web.Response:
    shop, sku = request.app[OPEN_SHOP], request.match_info["sku"]
    return await show_document(
        request,
        "reviews",
        (sku,),
        lambda db: shop.service.reviews(db, sku),
        lambda found: {"sku": sku, "reviews": found},
    )


async def open_questions(request: web.Request) -> web.Response:
    shop = request.app[OPEN_SHOP]
    return await show(
        request,
        "open_questions",
        (),
        shop.service.open_questions,
        shop.pages.questions,
        lambda found: {"questions": found},
    )


async def write_review(request: web.Request) -> web.Response:
    shop, sku, form = request.app[OPEN_SHOP], request.match_info["sku"], await _form(request)
    review = NewReview(
        author=form.text("author", 60),
        rating=form.number("rating", 1, 5),
        title=form.text("title", 80),
        text=form.text("text", 2_000),
    )
    form.finish()
    await shop.ask("review", lambda db: shop.service.review(db, sku, review), request[TIMING])
    shop.invalidate_product(sku)
    return change_response(request, {"sku": sku}, location=f"/product/{sku}#reviews")


async def ask_question(request: web.Request) -> web.Response:
    shop, sku, form = request.app[OPEN_SHOP], request.match_info["sku"], await _form(request)
    question = NewQuestion(author=form.text("author", 60), text=form.text("text", 500))
    form.finish()
    asked = await shop.ask("question", lambda db: shop.service.question(db, sku, question), request[TIMING])
    shop.invalidate_product(sku)
    document = {"question": asked.question, "notified": asked.notified}
    return change_response(request, document, location=_question_page(sku, asked.question))


async def write_answer(request: web.Request) -> web.Response:
    shop, number, form = (
        request.app[OPEN_SHOP],
        request.match_info["question"],
        await _form(request),
    )
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise NotFound(f"there is no question {number!r}")
    written = NewAnswer(author=form.text("author", 60), text=form.text("text", 2_000))
    form.finish()
    sku = await shop.ask("answer", lambda db: shop.service.answer(db, int(number), written), request[TIMING])
    shop.invalidate_product(sku)
    return change_response(
        request, {"question": int(number), "sku": sku}, location=_question_page(sku, int(number))
    )


async def _form(request: web.Request) -> FormParser:
    return FormParser(await read_fields(request))


def _question_page(sku: str, question: int) -> str:
    """The address names the question, so that no cached page without it is shown."""
    return f"/product/{sku}?question={question}#question-{question}"
