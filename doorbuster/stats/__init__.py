"""What the numbers of a run allow to be said: pure functions on values and histograms, no files, no output.

quantile    latency quantiles with intervals          proportion  shares with intervals
blocks      what correlated requests are worth        steady      where the warm-up ends
"""
