"""Forecast: past orders or visits to the demand of the next peak, with intervals and scenarios.

- `input`: files of orders or visits to one series of counts.
- `growth_season`: the base, growth x season, with bootstrapped factors.
- `models`: models of statsmodels, an extra; chosen only where a backtest shows that they are better.
- `peak_demand`: the peak day to its hour, minute and second, and orders to visits to page requests.
"""
