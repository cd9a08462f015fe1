// Questions to the API, as anyone may ask them, and its errors in words. Nothing is drawn here.

const LIMIT = 1000;
const PATIENCE_MS = 10000;

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
export function post(path) {
  return answer(path, { method: "POST", headers: { Accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE_MS) });
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
  const document = await response.json().catch(() => ({}));
  // 503 of /health is an answer like any other: it says which part is away.
  if (!response.ok && !(path === "/health" && document.database)) {
    throw new Problem(response.status, document.detail ?? `The API answers ${response.status}.`);
  }
  return { document, now: new Date(response.headers.get("Date") ?? Date.now()) };
}

/** All items of a list, page by page; the document of the last page, too. */
export async function all(path, parameters = [], limit = LIMIT) {
  const items = [];
  for (let offset = 0; ;) {
    const page = [...parameters, ["limit", limit], ["offset", offset]];
    const { document, now } = await get(path, page);
    if (!Array.isArray(document.items)) throw new Problem(0, "What answers at this address is not the API.");
    items.push(...document.items);
    if (document.next_offset === null) return { items, now, document };
    offset = document.next_offset;
  }
}
