"""What the user states about a source because its file does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Literal

from doorbuster.importers.label_map import LabelMap


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Options of one import.

    stamp: what JMeter's timeStamp means. count_transactions: those of JMeter's controllers instead of the
    samples inside them. zone: of times that name none; None refuses them.
    """

    label_map: LabelMap = field(default_factory=LabelMap)
    stamp: Literal["start", "end"] = "start"
    count_transactions: bool = False
    zone: tzinfo | None = None
