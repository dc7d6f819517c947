// A small HTTP server that answers as a test says, and remembers each call.
import { createServer } from "node:http";

const ORDERS = { paused: false, restart: false };

/** Answers of paths, in order; the last one stays. `null` closes the connection. A function gets the call. */
export async function serve(answers) {
  const calls = [];
  const waiting = [];
  const server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", async () => {
      const path = request.url.replace("/api/v1/", "");
      const text = Buffer.concat(parts).toString();
      const call = {
        path,
        method: request.method,
        headers: request.headers,
        body: text ? JSON.parse(text) : undefined,
        at: performance.now(),
      };
      calls.push(call);
      for (const look of waiting) look();
      const planned = answers[path] ?? [{}];
      let answer = planned.length > 1 ? planned.shift() : planned[0];
      if (typeof answer === "function") answer = await answer(call);
      if (answer === null) return request.socket.destroy();
      const { headers = {}, ...body } = answer;
      response.writeHead(Number.isInteger(body.status) ? body.status : 200, {
        "Content-Type": "application/json",
        ...headers,
      });
      response.end(
        JSON.stringify(
          path === "claim" ? { jobs: [], ...ORDERS, ...body } : { warnings: [], lost: [], ...ORDERS, ...body },
        ),
      );
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    calls,
    of: (path) => calls.filter((call) => call.path === path),
    /** Wait until a path was called so often. */
    called(path, times = 1) {
      return new Promise((resolve) => {
        const look = () => {
          const found = calls.filter((call) => call.path === path);
          if (found.length >= times) resolve(found);
        };
        waiting.push(look);
        look();
      });
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A job as a claim gives it. */
export function job(id, kind = "sum", more = {}) {
  const at = new Date(Date.now() + 60_000).toISOString();
  return {
    id,
    kind,
    attempt: 1,
    max_attempts: 3,
    payload: {},
    priority: 0,
    key: null,
    run_at: at,
    deadline_at: at,
    ...more,
  };
}

export const problem = (status, code, more = {}) => ({ status, code, detail: `${code}.`, ...more });
