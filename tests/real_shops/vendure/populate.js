// Fills a new database with the products of @vendure/create, once, and ends when all of it can be searched.
const { bootstrap, JobQueueService, TransactionalConnection } = require('@vendure/core');
const { populate } = require('@vendure/core/cli');
const { config } = require('./config');

const WAITING = "SELECT count(*) AS n FROM job_record WHERE state IN ('PENDING', 'RUNNING', 'RETRYING')";

async function started() {
  const shop = await bootstrap(config);
  await shop.get(JobQueueService).start();
  return shop;
}

// The search index and the collections are filled by jobs in the background, which start further jobs.
async function settled(shop) {
  const connection = shop.get(TransactionalConnection).rawConnection;
  for (let quiet = 0; quiet < 5; ) {
    const [{ n }] = await connection.query(WAITING);
    quiet = Number(n) === 0 ? quiet + 1 : 0;
    await new Promise(done => setTimeout(done, 500));
  }
}

populate(started, require('./catalog/initial-data.json'), 'catalog/products.csv')
  .then(async shop => { await settled(shop); await shop.close(); })
  .then(() => process.exit(0), error => { console.error(error); process.exit(1); });
