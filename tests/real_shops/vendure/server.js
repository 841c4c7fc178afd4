// Opens the shop until its input ends, so that it never outlives the test that started it.
const { bootstrap, JobQueueService } = require('@vendure/core');
const { config } = require('./config');

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
bootstrap(config)
  .then(shop => shop.get(JobQueueService).start())
  .catch(error => { console.error(error); process.exit(1); });
