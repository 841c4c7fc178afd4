"""Durations, rates, ratios, sizes and money as people write them: "1m30s", "13.3 customers/s", "70%".

Each parser returns a float in the base unit (seconds, per second, 0..1) and raises ValueError with the
accepted spellings; each formatter is short enough for a table cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

_SECONDS_PER = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"\d+(?:[_\d]*\d)?(?:\.\d+)?"
_DURATION_PART = re.compile(rf"({_NUMBER})\s*(us|µs|ms|s|m|h|d)")
_RATE = re.compile(rf"({_NUMBER})\s*([a-z_ ]*?)\s*/\s*(s|sec|second|m|min|minute|h|hour|d|day)")
WHOLE_AMOUNTS = 1_000  # of money, shown without decimals from here on
_WORDS_FOR = {
    "customers": "customers customer visits visit visitors visitor shoppers people arrivals sessions users",
    "requests": "requests request hits calls",
    "orders": "orders order purchases parcels",
}
_PER_SECOND = {
    "s": 1.0, "sec": 1.0, "second": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0,
    "h": 3600.0, "hour": 3600.0,
    "d": 86400.0, "day": 86400.0,
}  # fmt: skip


def parse_duration_s(text: str) -> float:
    """Seconds in "800ms", "90s", "1m30s" or "7h30m"; a bare number has no unit and is refused."""
    compact = text.strip()
    position = 0
    total_s = 0.0
    while position < len(compact):
        part = _DURATION_PART.match(compact, position)
        if part is None:
            break
        total_s += float(part[1].replace("_", "")) * _SECONDS_PER[part[2]]
        position = part.end()
    if not compact or position != len(compact):
        raise ValueError('must be a duration with its unit, such as "800ms", "90s" or "1h30m"')
    return total_s


def parse_rate_per_s(text: str, *, counts: str = "") -> float:
    """Events per second in "13.3 customers/s", "800/min" or "48000 visits/hour".

    counts: customers, requests or orders, where nothing else can be meant.
    """
    match = _RATE.fullmatch(text.strip())
    if match is None:
        noun = f" {counts}" if counts else ""
        raise ValueError(
            f'must be a rate with its unit, such as "13.3{noun or " customers"}/s" or "800{noun}/min"'
        )
    if counts and match[2] and match[2] not in _WORDS_FOR[counts].split():
        raise ValueError(f'must count {counts}, such as "{match[1]} {counts}/{match[3]}"')
    return float(match[1].replace("_", "")) / _PER_SECOND[match[3]]


def parse_ratio(text: str | float) -> float:
    """A share as 0..1: "70%" or 0.7. Values outside 0..1 are the caller's to judge."""
    if isinstance(text, int | float):
        return float(text)
    compact = text.strip()
    number = compact.removesuffix("%").strip()
    if not re.fullmatch(_NUMBER, number):
        raise ValueError('must be a share, such as "70%" or 0.7')
    return float(number) / (100.0 if compact.endswith("%") else 1.0)


def format_duration(seconds: float) -> str:
    """ "12.3 ms", "1.45 s", "1m30s" or "7h30m": three significant digits below a minute."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms" if seconds * 1e3 < 999.5 else "1 s"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{value}{unit}" for value, unit in parts if value)


def format_ratio(ratio: float) -> str:
    """ "99.6 %", with enough digits that 99.97 % never reads as 100 %."""
    percent = ratio * 100.0
    for digits in (1, 2, 3):
        text = f"{percent:.{digits}f}"
        if float(text) not in (0.0, 100.0) or percent in (0.0, 100.0):
            break
    return f"{text.removesuffix('.0') if percent in (0.0, 100.0) else text} %"


def format_count(count: float) -> str:
    """ "1,234" for whole numbers; otherwise one decimal below a hundred, three significant digits above."""
    if float(count).is_integer():
        return f"{int(count):,}"
    return f"{count:,.1f}" if abs(count) < 100 else f"{round_to_three_digits(count):,.0f}"


def format_estimate(count: float) -> str:
    """ "18,100": a count that is estimated, whole and with three significant digits."""
    return format_count(round(round_to_three_digits(count)))


def format_number(value: float) -> str:
    """Three significant digits without an exponent: "13.3", "1,230"; whole numbers as they are."""
    if float(value).is_integer():
        return f"{value:,.0f}"
    rounded = round_to_three_digits(value)
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


def round_to_three_digits(value: float) -> float:
    """The number with three significant digits."""
    return float(f"{value:.3g}")


def format_counted(count: float, singular: str, plural: str = "") -> str:
    """ "1 run", "1,234 runs"; plural: by default the singular with an s."""
    return f"{format_count(count)} {singular if count == 1 else plural or f'{singular}s'}"


CurrencyCode = NewType("CurrencyCode", str)
"""A currency of ISO 4217, such as "EUR"."""


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency; its smallest unit is 1 / 10^digits of it."""

    code: CurrencyCode
    digits: int = 2

    def amount(self, smallest_units: float) -> float:
        """The amount in the currency itself: 12.5 for 1250 cents."""
        return smallest_units / 10.0**self.digits

    def text(self, amount: float, *, rounded: bool = False) -> str:
        """ "£1,234.50", or "CHF 1,234.50" where the symbol is not unique; `rounded`: without decimals."""
        symbol = _SYMBOLS.get(self.code, f"{self.code} ")
        number = f"{abs(amount):,.{0 if rounded else self.digits}f}"
        return f"{'-' if amount < 0 else ''}{symbol}{number}"

    def text_of(self, smallest_units: float) -> str:
        """The text of an amount in smallest units."""
        return self.text(self.amount(smallest_units))


# ISO 4217, list one: the codes, and the digits after the decimal point where they are not two.
_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ
GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR
LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN
PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB
TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW
ZWG
"""
_DIGITS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0),  # noqa: SIM905
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),  # noqa: SIM905  readable
}
_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "INR": "₹", "KRW": "₩"}
CURRENCIES = {code: Currency(CurrencyCode(code), _DIGITS.get(code, 2)) for code in _CODES.split()}
POUND = CURRENCIES["GBP"]


def format_money(amount: float, currency: Currency) -> str:
    """ "£1.11m" from a million on, "£3,090" from a thousand on, "£12.50" below."""
    for factor, suffix in ((1e9, "bn"), (1e6, "m")):
        if abs(amount) >= factor:
            short = currency.text(amount / factor).removeprefix("-")
            digits = f"{abs(amount) / factor:.3g}"
            symbol = short.rstrip("0123456789.,")
            return f"{'-' if amount < 0 else ''}{symbol}{digits}{suffix}"
    if abs(amount) < WHOLE_AMOUNTS:
        return currency.text(amount)
    return currency.text(round_to_three_digits(amount), rounded=True)
