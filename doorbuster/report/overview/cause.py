"""Chooses the cause of the losses that the verdict names.

Rules, in this order:
1. An error, if most of the missed orders ended with one.
2. The resource that takes the largest known share: of the shop's own time, or of itself that was in use.
3. Otherwise the step at which most customers left, or the error, without a share.
"""

from __future__ import annotations

from collections.abc import Iterable

from doorbuster.gate import KnownCauses
from doorbuster.report.section import CauseEvidence, Section

MOST = 0.5


def lead_cause(sections: Iterable[Section]) -> CauseEvidence | None:
    """What explains most of the losses; None when no section knows a cause."""
    causes = [cause for section in sections for cause in section.causes]
    failed = _strongest(cause for cause in causes if cause.explains == "failed")
    slow = _strongest(cause for cause in causes if cause.explains == "slow")
    if failed is not None and (failed.share or 0.0) >= MOST:
        return failed
    return slow or failed


def known_causes(sections: Iterable[Section]) -> KnownCauses:
    """The clauses after "because" in the verdict."""
    sections = tuple(sections)
    lead = lead_cause(sections)
    slow = _strongest(
        cause
        for section in sections
        for cause in section.causes
        if cause.explains == "slow" and cause.share is not None
    )
    return KnownCauses(lead.because if lead else "", slow.because if slow else "")


def _strongest(causes: Iterable[CauseEvidence]) -> CauseEvidence | None:
    """The cause with the largest known share; one without a share only if there is no other."""
    return max(causes, key=lambda cause: -1.0 if cause.share is None else cause.share, default=None)
