"""A model that is read from a whole YAML file and remembers it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import PrivateAttr, ValidationError

from doorbuster.errors import ScenarioError
from doorbuster.scenario.parsing.diagnostics import issues_from
from doorbuster.scenario.parsing.document import read_document
from doorbuster.scenario.parsing.strict import StrictModel


class SourcedModel(StrictModel):
    """A kind of scenario, with the file and the text it was read from."""

    _source_path: Path | None = PrivateAttr(default=None)
    _source_text: str = PrivateAttr(default="")

    @classmethod
    def read(cls, text: str, *, file: str = "scenario") -> Self:
        """The scenario in a YAML text; `file` is its name in messages.

        Raises: ScenarioError with every problem; values that the document reports already are skipped.
        """
        document = read_document(text, file)
        problems = list(document.problems)
        made: Self | None = None
        if isinstance(document.data, dict):
            try:
                made = cls.model_validate(document.data, context=document)
            except ValidationError as error:
                found = (issue for issue in issues_from(error) if issue.path not in document.unusable)
                problems += [document.problem(issue) for issue in found]
        if problems or made is None:
            raise ScenarioError(problems)
        return made.with_source(None, text)

    @property
    def source_path(self) -> Path | None:
        """The file this scenario was read from."""
        return self._source_path

    @property
    def source_text(self) -> str:
        """The text this scenario was read from."""
        return self._source_text

    @property
    def name(self) -> str:
        """The file name without suffix; "scenario" if it was not read from a file."""
        return self._source_path.stem if self._source_path else "scenario"

    def with_source(self, path: Path | None, text: str) -> Self:
        """A copy of this scenario with the file and text it was read from."""
        made = self.model_copy()
        made._source_path = path
        made._source_text = text
        return made
