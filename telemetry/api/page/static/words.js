// Quantities in words for people: times, sizes, values with units.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** A length of time in its largest unit, such as `3 min`. */
export function duration(seconds) {
  const [name, length] = UNITS.find(([, length]) => seconds >= length) ?? UNITS.at(-1);
  return `${Math.max(0, Math.floor(seconds / length))} ${name}`;
}

/** How long before `now` a time was. */
export function ago(time, now) {
  return time ? `${duration((now - new Date(time)) / 1000)} ago` : "never";
}

/** A number with as many digits as a person reads. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  if (Math.abs(value) >= 1e7) return value.toLocaleString("en", { notation: "compact", maximumFractionDigits: 3 });
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** A value with its unit. */
export function quantity(value, unit) {
  return value === null || value === undefined ? "no value" : unit ? `${number(value)} ${unit}` : number(value);
}

/** The name of a metric without what all names of DCGM begin with. */
export function short(metric) {
  return metric.replace(/^DCGM_FI_(DEV|PROF)_/, "").replaceAll("_", " ").toLowerCase();
}

/** A time of day, with the date if it is another than today's. */
export function clock(time, now = new Date()) {
  const at = new Date(time);
  const day = at.toDateString() === now.toDateString() ? "" : at.toLocaleDateString("en-CA") + " ";
  return day + at.toLocaleTimeString("en-GB");
}

/** An event as the cells of a table: time, kind, what, and who had the GPU. */
export function line({ at, kind, what, says, owner }) {
  const had = kind === "allocation" ? "" : Object.entries(owner).map(([name, value]) => `${name} ${value}`).join(", ");
  return [clock(at), kind, what === "changes" ? says : `${says} ${what}`, had];
}

/** The name of a GPU as people say it. */
export function gpuName({ gpu, id, host, index }) {
  return host === null || index === null || host === undefined ? gpu ?? id : `${host}:${index}`;
}

// The labels that name each part of an owner, as in telemetry/readings/owners.py: the first that is there counts.
export const PARTS = {
  namespace: ["exported_namespace", "namespace"], pod: ["exported_pod", "pod"], container: ["exported_container", "container"],
  job: ["hpc_job", "slurm_job_id"], user: ["user", "slurm_user"], account: ["account", "slurm_account"],
};

/** The parts of an owner from the labels of a reading; those that nothing names are left out. */
export function parts(labels) {
  const named = Object.entries(PARTS).map(([part, names]) => [part, names.map((name) => labels[name]).find(Boolean)]);
  return Object.fromEntries(named.filter(([, value]) => value));
}

/** Who an owner is. */
export function whose({ namespace, pod, job, user }) {
  return [namespace ?? user, pod ?? (job ? `job ${job}` : null)].filter(Boolean).join("/") || "–";
}

/** The address of the page about a job, or else a pod; null for what is neither. A job's number is one within its cluster of Slurm. */
export function jobPath({ namespace, pod, job, user, account }) {
  const ofJob = () => ({ job, ...(user ? { user } : {}), ...(account ? { account } : {}) });
  const chosen = job ? ofJob() : pod ? { pod, ...(namespace ? { namespace } : {}) } : null;
  return chosen && `/job#${new URLSearchParams(chosen)}`;
}

/** Bytes in the unit that fits them. */
export function size(bytes) {
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  return `${number(bytes / 1000 ** power)} ${["bytes", "kB", "MB", "GB", "TB"][power]}`;
}
