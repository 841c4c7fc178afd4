// Charts of sections that Python computed for the whole run (figure_data.py), drawn on the shared time axis.

function sectionChart(place) {
  return (state) => {
    const figure = state.data.figures[place];
    const { low, high, log, unit, stack } = figure;
    const series = figure.series.map((one) => ({
      ...one,
      dash: DASHES[one.dash] || [],
      drawn: log && !stack ? one.values.map((value) => (value > 0 ? value : null)) : undefined,
    }));
    const values = series.flatMap((one) => [...one.values, ...(one.low || []), ...(one.high || [])]).filter((value) => value !== null);
    const tallest = stack ? Math.max(...figure.x.map((_, at) => series.reduce((total, one) => total + (one.values[at] || 0), 0))) : Math.max(...values);
    const positive = values.filter((value) => value > 0);
    return {
      title: figure.title,
      isSaid: figure.said,
      note: [figure.note, ignored(state, FILTERS)].filter(Boolean).join(" "),
      x: figure.x,
      series,
      unit,
      log: log && positive.length > 0,
      step: stack,
      stack,
      range: log && positive.length
        ? [Math.min(...positive) / 1.25, Math.max(...positive) * 1.25]
        : [low ?? Math.min(0, ...values), high ?? (tallest > 0 ? tallest * 1.06 : 1)],
      bounds: figure.bounds.map(([at, text]) => ({ at, label: text })),
      moments: figure.moments,
      paint: (plot) => series.filter((one) => one.low).forEach((one) => paintBand(plot, figure.x, one.low, one.high, 0.2, one.pen)),
    };
  };
}
