"""Error classes by cause, with their exit codes.

DoorbusterError                 1    internal or unclassified error
├── UsageError                  2    the command line
├── ScenarioError             104    an invalid scenario (all problems at once)
├── TargetError               106    the shop is unreachable, or refuses the run at its start
├── RunError                    1    the run failed
│   └── RunInterrupted        105    the run was stopped before its first customer
├── RecordError                 2    a run file or report that cannot be read or written
│   └── RecordingFailed        97    a run whose recording had to be given up
├── UploadError                98    the files of a run that could not be sent to where they are kept
└── AnalysisError             107    an analysis script or a locustfile that raised

A message states the place, the rule, the value found and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from doorbuster.output.printable import flat, one_line

MAX_PROBLEMS = 40  # problems shown in one message
MAX_KEY, MAX_GOT = 120, 200  # characters of a key and of a value in a message


class ExitCode(IntEnum):
    """Exit codes of every `doorbuster` command; 99, 104, 105, 107 and 108 mean the same in k6."""

    PASS = 0, "pass"
    FAIL = 99, "thresholds failed"
    INCONCLUSIVE = 96, "inconclusive"
    REGRESSION = 95, "a build is worse than its baseline"
    INVALID_CONFIGURATION = 104, "invalid configuration"
    INTERRUPTED = 105, "interrupted"
    TARGET_UNREACHABLE = 106, "target unreachable"
    SCRIPT_EXCEPTION = 107, "exception in a script"
    ABORTED = 108, "aborted by a safety rule"
    NOT_RECORDED = 97, "recording failed"
    NOT_UPLOADED = 98, "upload failed"
    USAGE = 2, "usage error"
    BUG = 1, "internal error"

    meaning: str

    def __new__(cls, code: int, meaning: str = "") -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class DoorbusterError(Exception):
    """Base of all errors that the user can act on."""

    exit_code: ExitCode = ExitCode.BUG


class UsageError(DoorbusterError):
    exit_code = ExitCode.USAGE


class TargetError(DoorbusterError):
    exit_code = ExitCode.TARGET_UNREACHABLE


class RunError(DoorbusterError):
    exit_code = ExitCode.BUG


class RunInterrupted(RunError):  # noqa: N818  stopped on request; not a failure
    exit_code = ExitCode.INTERRUPTED


class RecordError(DoorbusterError):
    exit_code = ExitCode.USAGE


class RecordingFailed(RecordError):  # noqa: N818  reads as what happened
    exit_code = ExitCode.NOT_RECORDED


class UploadError(DoorbusterError):
    exit_code = ExitCode.NOT_UPLOADED


class AnalysisError(DoorbusterError):
    exit_code = ExitCode.SCRIPT_EXCEPTION


@dataclass(frozen=True, slots=True, order=True)
class FileProblem:
    """One problem in a file: place, rule, value found and remedy.

    `line` and `column` count from 1; 0 refers to the whole file.
    """

    file: str
    line: int
    column: int
    key: str
    rule: str
    got: str = ""
    way_out: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        key = f"{one_line(self.key, MAX_KEY)} " if self.key else ""
        got = f" (got {one_line(self.got, MAX_GOT)})" if self.got else ""
        way_out = f"; {self.way_out}" if self.way_out else ""
        return flat(f"{place}: {key}{self.rule}{got}{way_out}")


def problem_lines(problems: Sequence[FileProblem]) -> str:
    """One line for each problem, and how many more there are."""
    lines = [str(problem) for problem in problems[:MAX_PROBLEMS]]
    more = len(problems) - len(lines)
    return "\n".join([*lines, f"… and {more:,} more problems"] if more else lines)


class ScenarioError(DoorbusterError):
    """An invalid scenario; carries every problem found, in file order."""

    exit_code = ExitCode.INVALID_CONFIGURATION

    def __init__(self, problems: Iterable[FileProblem]) -> None:
        self.problems: tuple[FileProblem, ...] = tuple(sorted(problems))
        super().__init__(problem_lines(self.problems))
