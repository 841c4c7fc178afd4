"""How many loyalty cards were read?"""

from __future__ import annotations

from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Metric, Section


def analyse(context: RunContext) -> Section:
    """The loyalty cards that the terminals read."""
    read = context.run.histogram(match=lambda series: series.step == "loyalty_card").n
    return Section(
        name="loyalty",
        question="How many loyalty cards were read?",
        sentence=f"The terminals read {read} loyalty cards.",
        metrics={"cards_read": Metric(read)},
    )


if __name__ == "__main__":
    main(analyse)
