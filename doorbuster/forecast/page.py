"""A forecast as report sections: the peak with its intervals, the scores of the methods, the sources."""

from __future__ import annotations

from datetime import date

from doorbuster.forecast.backtest import BASE
from doorbuster.forecast.demand_series import HOURS
from doorbuster.forecast.forecast_result import PERIODS, ForecastResult, MethodScore
from doorbuster.forecast.quantiles import DemandQuantiles
from doorbuster.report.section import Annotation, Cell, Chart, Column, Metric, Section, Series, Table
from doorbuster.units import format_count, format_estimate, format_number, round_to_three_digits

METHOD = (
    (
        "Base: the highest day of the last season times growth. Its interval comes from bootstrapped weeks "
        "of the base and from the random variation of a highest day; the formulas are in "
        "doorbuster/forecast/growth_season.py."
    ),
    (
        "A model replaces the base only if it is certainly better in the rolling-origin backtest; its "
        "interval is split conformal."
    ),
    (
        "A forecast assumes that the next season resembles the last ones. What has no counterpart in the "
        "history, such as a new kind of campaign, must be stated with --campaign or --growth."
    ),
)


def forecast_sentence(found: ForecastResult) -> str:
    """The forecast in one sentence."""
    day, second = found.count("day", found.measure), found.count("hour", "visits")
    return (
        f"The busiest day around {day_name(found.peak_day)} brings {format_estimate(day.median)} "
        f"{found.measure} (90 % interval {_range(day.low90, day.high90)}); its busiest hour "
        f"{format_estimate(second.median)} visits, {format_number(found.rate.median)} customers per second "
        f"({format_number(found.rate.low90)} to {format_number(found.rate.high90)})."
    )


def forecast_sections(found: ForecastResult) -> tuple[Section, ...]:
    """The sections of the page."""
    return (_peak(found), _methods(found), _factors(found))


def day_name(day: date) -> str:
    """ "27 November 2026"."""
    return f"{day.day} {day:%B %Y}"


def _range(low: float, high: float) -> str:
    return f"{format_estimate(low)} to {format_estimate(high)}"


def _peak(found: ForecastResult) -> Section:
    rows = tuple(
        (f"Busiest {row.period}", row.counted, _number(row.quantiles.median), *_intervals(row.quantiles),
         _number(row.quantiles.one_in_ten))
        for period in PERIODS
        for row in found.demand
        if row.period == period
    )  # fmt: skip
    columns = (
        Column("Period"), Column("Counted"), Column("Median", "count"), Column("50 % interval"),
        Column("80 % interval"), Column("90 % interval"), Column("1 in 10 years worse", "count"),
    )  # fmt: skip
    findings = []
    if found.actual is not None:
        day = found.count("day", found.measure)
        error = found.scores[0].forecast if found.method == BASE else day.median
        share = ((error or day.median) / found.actual - 1) * 100
        inside = "inside" if day.low90 <= found.actual <= day.high90 else "outside"
        findings.append(
            f"The history also has what happened: {format_count(round(found.actual))} {found.measure} on the "
            f"highest day, {inside} the 90 % interval; the forecast is {share:+.1f} % off.".replace("-", "−")
        )
    return Section(
        name="forecast",
        question="How much demand does the peak bring?",
        sentence=forecast_sentence(found),
        findings=(*findings, *found.notes),
        figures=(_history_chart(found), _day_chart(found)),
        tables=(
            Table(
                "Demand of the peak",
                columns,
                rows,
                "1 in 10 years worse: the 90 % quantile.",
                in_summary=True,
            ),
        ),
    )


def _number(value: float) -> float:
    return float(round(round_to_three_digits(value))) if value >= 10 else float(f"{value:.2g}")


def _intervals(found: DemandQuantiles) -> tuple[str, str, str]:
    pairs = (
        (found.low50, found.high50), (found.low80, found.high80), (found.low90, found.high90),
    )  # fmt: skip
    texts = [f"{format_count(_number(low))} to {format_count(_number(high))}" for low, high in pairs]
    return texts[0], texts[1], texts[2]


def _history_chart(found: ForecastResult) -> Chart:
    """The counts of the history, and the forecast with its interval on the day of the peak."""
    days = [date.fromisoformat(day) for day in found.daily_days]
    first = days[0]
    until = date.fromisoformat(found.last_day)
    peak = (found.peak_day - first).days
    position = {(day - first).days: count for day, count in zip(days, found.daily_counts, strict=True)}
    x = tuple(float(at) for at in sorted({*position, *range(peak - 3, peak + 4)}))
    known = [position.get(int(at)) for at in x]
    cut = (until - first).days
    seen = tuple(value if at <= cut else None for at, value in zip(x, known, strict=True))
    later = tuple(value if at > cut else None for at, value in zip(x, known, strict=True))
    quantiles = found.count("day", found.measure)
    near = [abs(at - peak) <= 3 for at in x]

    def at_peak(value: float) -> tuple[float | None, ...]:
        return tuple(value if here else None for here in near)

    series = [Series("history", seen, "quiet")]
    if any(value is not None for value in later):
        series.append(Series("what happened", later, "good"))
    series.append(
        Series(
            "forecast, 90 % interval", at_peak(quantiles.median), "strong",
            at_peak(quantiles.low90), at_peak(quantiles.high90),
        )
    )  # fmt: skip
    moments = tuple(
        Annotation(float((date.fromisoformat(season.day) - first).days), f"highest day {season.day[:4]}")
        for season in found.seasons
        if date.fromisoformat(season.day) >= first
    )
    return Chart(
        "lines", f"The peak is forecast at {format_estimate(quantiles.median)} {found.measure} a day",
        f"days since {day_name(first)}", f"{found.measure} a day", x, tuple(series),
        x_unit="count", y_unit="count", moments=moments,
    )  # fmt: skip


def _day_chart(found: ForecastResult) -> Chart:
    """The day of the peak by hour."""
    total = sum(found.curve)
    day = found.count("day", "visits")
    visits = tuple(day.median * weight / total for weight in found.curve)
    busiest = max(range(HOURS), key=lambda hour: found.curve[hour])
    of = f"the {found.curve_days} busiest days" if found.curve_days else "a British Black Friday (assumed)"
    return Chart(
        "lines", f"The busiest hour starts at {busiest:02d}:00", "hour of the day", "visits in the hour",
        tuple(float(hour) for hour in range(HOURS)), (Series("visits", visits, "planned"),),
        x_unit="count", y_unit="count",
        note=f"The median day of the peak, spread over its hours as on {of}.",
    )  # fmt: skip


def _methods(found: ForecastResult) -> Section:
    rows = tuple(
        (score.method, score.cases, score.mean_error,
         None if score.forecast is None else _number(score.forecast), "used" if score.chosen else None)
        for score in found.scores
    )  # fmt: skip
    columns = (
        Column("Method"), Column("Backtest cases", "count"), Column("Mean error", "ratio"),
        Column(f"Highest day, {found.measure}", "count"), Column(""),
    )  # fmt: skip
    return Section(
        name="methods",
        question="Which method was used, and how wrong was it in the past?",
        sentence=_methods_sentence(found),
        findings=_coverage(found),
        tables=(
            Table(
                "Methods in the rolling-origin backtest", columns, rows,
                "A case is the highest day of one month, forecast one to four months ahead. Highest day: "
                "without campaigns.",
            ),
        ),
    )  # fmt: skip


def _methods_sentence(found: ForecastResult) -> str:
    used: MethodScore | None = next((score for score in found.scores if score.chosen), None)
    if used is None:
        return "The season factor was stated; the history is too short to choose a method by a backtest."
    if used.mean_error is None:
        return f"The method is {used.method}; the history is too short for a backtest, which needs two years."
    models = len(found.scores) - 1
    compared = (
        f"the {models} models of statsmodels were not certainly better" if models and used.method == BASE
        else "it was certainly better than the base" if used.method != BASE
        else "the models of the extra `forecast` are not installed"
    )  # fmt: skip
    return (
        f"The method is {used.method}, whose mean error in {used.cases} backtest cases was "
        f"{used.mean_error * 100:.1f} %; {compared}."
    )


def _coverage(found: ForecastResult) -> tuple[str, ...]:
    if found.coverage is None:
        return ()
    held = round(found.coverage * found.coverage_cases)
    return (
        (
            f"In the backtest the 90 % interval of the base held the actual value in {held} of "
            f"{found.coverage_cases} months."
        ),
    )


def _factors(found: ForecastResult) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (f"Highest day of {season.month}", f"{format_count(round(season.highest))} on {season.day}",
         "no base recorded" if season.factor is None else f"{season.factor:.2f} x the mean day of its base")
        for season in found.seasons
    ]  # fmt: skip
    if found.season_factor is not None:
        factor = found.season_factor
        rows.append(("Season factor", f"{factor.low:.3g} to {factor.high:.3g}", "stated"))
    growth = found.growth
    over = f", over {growth.years} years" if growth.years > 1 and growth.months else ""
    months = f"measured on {growth.months[0]} to {growth.months[-1]}" if growth.months else "stated"
    rows.append((
        "Growth since then", Metric(growth.value - 1, "ratio", growth.low - 1, growth.high - 1),
        f"{months}{', assumed to continue' if growth.is_assumed else ''}{over}",
    ))  # fmt: skip
    rows += [
        (f"Campaign: {one.name}", Metric((one.low * one.high) ** 0.5 - 1, "ratio", one.low - 1, one.high - 1),
         "stated")
        for one in found.campaigns
    ]  # fmt: skip
    conversion = found.conversion
    rows.append((
        "Orders per visit in the peak",
        Metric(conversion.median, "ratio", conversion.low95, conversion.high95), found.conversion_source,
    ))  # fmt: skip
    if found.usual_conversion is not None:
        rows.append(("Orders per visit on other days", Metric(found.usual_conversion, "ratio"), "measured"))
    return Section(
        name="factors",
        question="What is the forecast made of?",
        sentence=f"{found.open_days} open days of {found.measure} from {found.source}, "
        f"{found.first_day} to {found.last_day}, by {found.grain}.",
        findings=found.assumptions,
        tables=(Table("Factors", (Column("Factor"), Column("Value"), Column("Source")), tuple(rows)),),
    )
