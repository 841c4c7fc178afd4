// Reads the block of data in the page: what page_data.py and request_cells.py packed.

async function readPayload(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const data = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let at = 4 + length;
  for (const run of data.runs) {
    const column = (size, width) => {
      const found = joinPlanes(bytes.subarray(at, at + size * width), size, width);
      at += size * width;
      return found;
    };
    run.slotSeries = column(run.slots, 4);
    run.slotBucket = column(run.slots, 4);
    const sizes = column(run.slots, 2);
    run.bins = column(run.entries, 2);
    run.counts = column(run.entries, 4);
    run.starts = new Uint32Array(run.slots + 1);
    run.slotN = new Float64Array(run.slots);
    for (let slot = 0, entry = 0; slot < run.slots; slot++) {
      run.starts[slot] = entry;
      for (let bin = 0, end = entry + sizes[slot]; entry < end; entry++) {
        bin += run.bins[entry];
        run.bins[entry] = bin;
        run.slotN[slot] += run.counts[entry];
      }
      run.starts[slot + 1] = entry;
    }
    run.series = run.series.map(([channel, journey, step, outcome, cause]) => ({ channel, journey, step, outcome, cause }));
  }
  return data;
}

function joinPlanes(bytes, size, width) {
  const found = new Uint32Array(size);
  for (let plane = 0; plane < width; plane++) {
    for (let at = 0; at < size; at++) found[at] += bytes[plane * size + at] * 2 ** (8 * plane);
  }
  return found;
}
