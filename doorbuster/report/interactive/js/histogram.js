// Latency histograms and percentiles, to the last digit as doorbuster.records.histogram, stats.censored and
// stats.quantile compute them. Values are whole microseconds.

const HALF = 1024;
const BINS = 23552;
const ROUNDING = 1e-12;

function lowestUs(bin) {
  const bucket = Math.max(Math.floor(bin / HALF) - 1, 0);
  return (bin - bucket * HALF) * 2 ** bucket;
}

function highestUs(bin) {
  const bucket = Math.max(Math.floor(bin / HALF) - 1, 0);
  return (bin - bucket * HALF + 1) * 2 ** bucket - 1;
}

/** The next double below a positive number. */
function nextBelow(value) {
  const words = new BigInt64Array(1);
  const floats = new Float64Array(words.buffer);
  floats[0] = value;
  words[0] -= 1n;
  return floats[0];
}

/** Rank, 1..n, of the p-quantile of n values: ceil(p n). */
function quantileRank(p, n) {
  return Math.min(n, Math.max(1, Math.ceil(nextBelow(p) * n)));
}

/** Fewest independent values whose maximum bounds the p-quantile from above with 95 % confidence. */
function minimumN(p) {
  return Math.ceil(Math.log(1 - 0.95) / Math.log(p));
}

/** Counts of answered and of abandoned requests by bin; an abandoned one is a lower bound. */
class Tally {
  constructor() {
    this.answered = new Float64Array(BINS);
    this.abandoned = new Float64Array(BINS);
    this.clear();
  }

  clear() {
    if (this.high >= this.low) {
      this.answered.fill(0, this.low, this.high + 1);
      this.abandoned.fill(0, this.low, this.high + 1);
    }
    this.low = BINS;
    this.high = -1;
    this.n = 0;
    this.nAbandoned = 0;
  }

  add(bin, count, isAbandoned) {
    (isAbandoned ? this.abandoned : this.answered)[bin] += count;
    if (bin < this.low) this.low = bin;
    if (bin > this.high) this.high = bin;
    this.n += count;
    if (isAbandoned) this.nAbandoned += count;
  }

  /** The p-quantile {us, atLeast}; us is null with too few requests. */
  quantile(p) {
    return this.quantiles([p])[0];
  }

  /** Quantiles for several shares, each {us, atLeast}, in one pass; shares ascend. */
  quantiles(shares) {
    const found = shares.map(() => ({ us: null, atLeast: false }));
    const wanted = shares.map((p, at) => [p, at]).filter(([p]) => this.n >= minimumN(p));
    if (!wanted.length || !this.n) return found;
    if (this.nAbandoned) this.#censored(wanted, found);
    else this.#ranked(wanted, found);
    return found;
  }

  #ranked(wanted, found) {
    let next = 0;
    let below = 0;
    for (let bin = this.low; bin <= this.high && next < wanted.length; bin++) {
      below += this.answered[bin];
      while (next < wanted.length && below >= quantileRank(wanted[next][0], this.n)) {
        found[wanted[next][1]].us = highestUs(bin);
        next++;
      }
    }
  }

  /** Kaplan and Meier (1958): the share not yet answered falls with each answer, not with who leaves. */
  #censored(wanted, found) {
    let next = 0;
    let atRisk = this.n;
    let survival = 1;
    for (let bin = this.low; bin <= this.high && next < wanted.length; bin++) {
      const events = this.answered[bin];
      const lost = this.abandoned[bin];
      if (!events && !lost) continue;
      survival *= 1 - events / atRisk;
      atRisk -= events + lost;
      while (next < wanted.length && survival <= 1 - wanted[next][0] + ROUNDING) {
        found[wanted[next][1]].us = highestUs(bin);
        next++;
      }
    }
    for (; next < wanted.length; next++) {
      found[wanted[next][1]] = { us: highestUs(this.high), atLeast: true };
    }
  }
}
