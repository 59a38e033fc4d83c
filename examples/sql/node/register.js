// Places an order, and registers its event: DATABASE_URL=postgres://… node register.js [NUMBER]

import pg from "pg";

const REGISTER = `
  select tidings.register_event(
    'order:placed', $1::json, scope => $2, ordering_key => $3, idempotency_key => $3) as event`;

/** Writes an order and registers its event, in the caller's transaction; returns the event's id. */
async function place(client, number, customer) {
  await client.query(
    "insert into shop_order (number, customer) values ($1, $2) on conflict do nothing",
    [number, customer],
  );
  const payload = JSON.stringify({ order: number, customer });
  const { rows } = await client.query(REGISTER, [payload, "shop=berlin", `order-${number}`]);
  return rows[0].event;
}

/** Does `work` in a transaction: all of it is committed, or nothing. */
async function transaction(client, work) {
  await client.query("begin");
  try {
    const result = await work();
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}

/** Tries what cannot be registered, behind a savepoint: the transaction stays usable. */
async function attempt(client, statement, values = []) {
  await client.query("savepoint attempt");
  try {
    await client.query(statement, values);
    await client.query("release attempt");
  } catch (error) {
    await client.query("rollback to attempt");
    console.log(`${error.code} ${error.message}`);
    console.log(`  hint: ${error.hint}`);
  }
}

/** Thrown by who has changed their mind. */
class Rollback extends Error {}

async function main() {
  const number = Number(process.argv[2] ?? 7);
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  try {
    // A write and its event: both are there after the commit, or neither.
    let event = await transaction(client, () => place(client, number, "Ada"));
    console.log(`order ${number} is placed: event ${event}`);

    // The same again, as after an answer that got lost: the key says that it is the same event.
    event = await transaction(client, () => place(client, number, "Ada"));
    console.log(`order ${number} once more: event ${event}`);

    // What cannot be registered is an error, and an error leaves nothing behind.
    try {
      await transaction(client, async () => {
        event = await place(client, number + 1, "Bob");
        console.log(`order ${number + 1} is placed: event ${event}`);
        await attempt(client, "select tidings.register_event('order:lost', '{}')");
        await attempt(client, "select tidings.register_event('order:placed', '{}', scope => 'shop berlin')");
        await attempt(
          client,
          "select tidings.register_event('order:placed', '{}', idempotency_key => $1)",
          [`order-${number}`],
        );
        // The write and its event go together.
        throw new Rollback();
      });
    } catch (error) {
      if (!(error instanceof Rollback)) throw error;
    }

    const query = "select count(*) from shop_order where number = $1";
    const { rows } = await client.query(query, [number + 1]);
    console.log(`order ${number + 1} is rolled back: ${rows[0].count} orders`);
  } finally {
    await client.end();
  }
}

await main();
