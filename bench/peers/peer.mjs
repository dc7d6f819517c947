// What the peers in Node share: how they are called, and how the end of the work is seen.

/** Seconds, by a clock that never jumps. */
export const now = () => Number(process.hrtime.bigint()) / 1e9;

/** `total` in batches of at most `size`. */
export function* batches(total, size) {
  for (let left = total; left > 0; left -= size) yield Math.min(left, size);
}

/** Ask `sql`, which answers a row with `done`, until it is true. */
export async function until(client, sql) {
  while (!(await client.query(sql)).rows[0].done) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** `node FILE ACTION JSON`: do it, and print its figures as one line of JSON. */
export async function main(actions) {
  const [action, options] = process.argv.slice(2);
  const figures = await actions[action](JSON.parse(options));
  console.log(JSON.stringify(figures));
  process.exit(0);
}
