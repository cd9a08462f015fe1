// Questions to the API, as anyone may ask them, and its errors in words. Nothing is drawn here.

const LIMIT = 1000;
const PATIENCE_MS = 10000;
// Of this is asked again and again: an answer that is as it was is not read again.
const REPEATED = "/api/v1/latest?";
const last = new Map();

/** An answer that says what is wrong; `status` is 0 where there was no answer at all. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The document at a path, and the time by the server's clock, which the browser's own need not agree with. */
export async function get(path, parameters = [], patienceMs = PATIENCE_MS) {
  const query = new URLSearchParams(parameters).toString();
  return answer(query ? `${path}?${query}` : path, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(patienceMs) });
}

/** Ask for a change. The browser names the page that asks, by which the API knows that it is this one. */
export function post(path, patienceMs = PATIENCE_MS) {
  return answer(path, { method: "POST", headers: { Accept: "application/json" }, signal: AbortSignal.timeout(patienceMs) });
}

/** The answer to a question, or what stands for it where this key may not ask that: one of a team does not see all of the fleet. */
export async function allowed(asked, otherwise) {
  try {
    return await asked;
  } catch (problem) {
    if (problem.status !== 403) throw problem;
    return otherwise;
  }
}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(0, "The API does not answer.");
  }
  if (response.status === 401) {
    location.assign(`/login?then=${encodeURIComponent(location.pathname + location.hash)}`);
    throw new Problem(401, "This system asks for an API key.");
  }
  const document = await read(path, response);
  // 503 of /health is an answer like any other: it says which part is away.
  if (!response.ok && !(path === "/health" && document.database)) {
    throw new Problem(response.status, document.detail ?? `The API answers ${response.status}.`);
  }
  return { document, now: new Date(response.headers.get("Date") ?? Date.now()) };
}

async function read(path, response) {
  const tag = path.startsWith(REPEATED) ? response.headers.get("ETag") : null;
  if (tag && last.get(path)?.tag === tag) {
    response.body?.cancel();
    return last.get(path).document;
  }
  const document = await response.json().catch(() => ({}));
  if (tag) last.set(path, { tag, document });
  if (last.size > 100) last.delete(last.keys().next().value);
  return document;
}

/** All items of a list, page by page; the documents of the pages, the last of them by itself, too. */
export async function all(path, parameters = [], limit = LIMIT) {
  const [items, documents] = [[], []];
  for (let offset = 0; ;) {
    const page = [...parameters, ["limit", limit], ["offset", offset]];
    const { document, now } = await get(path, page);
    if (!Array.isArray(document.items)) throw new Problem(0, "What answers at this address is not the API.");
    items.push(...document.items);
    documents.push(document);
    if (document.next_offset === null) return { items, now, document, documents };
    offset = document.next_offset;
  }
}
