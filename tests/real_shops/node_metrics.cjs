// Serves the state of a Node process in the text format of Prometheus: node --require node_metrics.cjs shop.js
const http = require('node:http');
const { monitorEventLoopDelay, performance } = require('node:perf_hooks');

const delay = monitorEventLoopDelay({ resolution: 20 });
delay.enable();

http.createServer((request, response) => {
  const { active } = performance.eventLoopUtilization();
  const { heapUsed, rss } = process.memoryUsage();
  const lines = [
    '# TYPE nodejs_event_loop_active_seconds_total counter',
    `nodejs_event_loop_active_seconds_total ${active / 1e3}`,
    `nodejs_event_loop_lag_seconds ${delay.max / 1e9}`,
    `nodejs_heap_used_bytes ${heapUsed}`,
    `process_resident_memory_bytes ${rss}`,
  ];
  delay.reset();
  response.setHeader('Content-Type', 'text/plain; version=0.0.4');
  response.end(lines.join('\n') + '\n');
}).listen(Number(process.env.NODE_METRICS_PORT), '127.0.0.1').unref();
