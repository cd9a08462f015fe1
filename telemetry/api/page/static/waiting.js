// Files that wait to be sent, kept by the browser so that another view may be looked at meanwhile. Of this tab alone.

const STORE = "files";
// What the tab remembers: its own name among the tabs of this browser.
const TAB = "telemetry-tab";
// A file of a tab that was closed is forgotten then.
const LASTS_MS = 86400000;

const tab = sessionStorage.getItem(TAB) ?? crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
sessionStorage.setItem(TAB, tab);

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("telemetry", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// What an operation on the store answers; undefined where this browser keeps nothing, such as in a private window that is full.
async function done(mode, operate) {
  try {
    const database = await opened();
    const transaction = database.transaction(STORE, mode);
    const request = operate(transaction.objectStore(STORE));
    return await new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    }).finally(() => database.close());
  } catch {
    return undefined;
  }
}

/** Keep a file. Resolves to its number, undefined if it is not kept. */
export function keep(file) {
  return done("readwrite", (store) => store.add({ tab, file, at: Date.now() }));
}

/** Forget a file by its number. */
export function forget(id) {
  return id === undefined ? undefined : done("readwrite", (store) => store.delete(id));
}

/** The files of this tab that wait, as [{id, file}] in the order they were chosen. */
export async function kept() {
  const all = (await done("readonly", (store) => store.getAll())) ?? [];
  for (const { id, at } of all) if (Date.now() - at > LASTS_MS) forget(id);
  return all.filter((entry) => entry.tab === tab && Date.now() - entry.at <= LASTS_MS);
}
