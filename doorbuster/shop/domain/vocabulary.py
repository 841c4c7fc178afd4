"""The words from which the catalogue is generated, read from vocabulary.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class CategoryWords:
    """One category: its drawing, its price band, and the words of its product names."""

    slug: str
    name: str
    blurb: str
    art: str
    low_pence: int
    high_pence: int
    worn: bool
    nouns: list[str]
    materials: list[str]


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """A typical question, with a buyer's answer if there is one."""

    text: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class SampleReview:
    rating: int
    titles: list[str]
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    categories: tuple[CategoryWords, ...]
    drawn_as: dict[str, list[str]]
    qualities: list[str]
    colours: list[str]
    taglines: list[str]
    care: list[str]
    origins: list[str]
    openings: list[str]
    middles: list[str]
    closings: list[str]
    first_names: list[str]
    places: list[str]
    notices: list[str]
    reviews: dict[int, SampleReview]
    questions: tuple[SampleQuestion, ...]

    def art(self, noun: str, shelf: CategoryWords) -> str:
        """The drawing of a product: the first whose words end its name, else that of its category."""
        for art, endings in self.drawn_as.items():
            if any(noun.endswith(ending) for ending in endings):
                return art
        return shelf.art


def read_vocabulary() -> Vocabulary:
    found = tomllib.loads((files("doorbuster.shop.domain") / "vocabulary.toml").read_text(encoding="utf-8"))
    opinions = [SampleReview(**opinion) for opinion in found.pop("reviews")]
    return Vocabulary(
        categories=tuple(CategoryWords(**shelf) for shelf in found.pop("categories")),
        reviews={opinion.rating: opinion for opinion in opinions},
        questions=tuple(SampleQuestion(**question) for question in found.pop("questions")),
        **found,
    )
