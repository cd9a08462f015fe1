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

/** So many of a thing, such as `1 batch`. */
export function count(many, one, more = `${one}s`) {
  return `${number(many)} ${many === 1 ? one : more}`;
}

/** A value with its unit. Memory is in GiB from one on, as nvidia-smi's readers think of it. */
export function quantity(value, unit) {
  if (value === null || value === undefined) return "no value";
  if (unit === "MiB" && Math.abs(value) >= 1024) return `${number(value / 1024)} GiB`;
  return unit ? `${number(value)} ${unit}` : number(value);
}

// What people look at most, in this order, and what they call it.
const COMMON = {
  GPU_UTIL: "gpu utilisation", GPU_TEMP: "gpu temperature", POWER_USAGE: "power", FB_USED: "memory used", FB_FREE: "memory free",
  MEMORY_TEMP: "memory temperature", SM_CLOCK: "SM clock", MEM_CLOCK: "memory clock", XID_ERRORS: "XID, the last",
  ECC_DBE_VOL_TOTAL: "ECC errors, uncorrected", ECC_SBE_VOL_TOTAL: "ECC errors, corrected",
  TOTAL_ENERGY_CONSUMPTION: "energy, counted",
};
const OTHERS = {
  MEM_COPY_UTIL: "memory bandwidth in use", ENC_UTIL: "video encoder in use", DEC_UTIL: "video decoder in use",
  NVLINK_BANDWIDTH_TOTAL: "NVLink traffic", PCIE_REPLAY_COUNTER: "PCIe replays", PCIE_RX_BYTES: "PCIe received", PCIE_TX_BYTES: "PCIe sent",
  POWER_VIOLATION: "time slowed by power", THERMAL_VIOLATION: "time slowed by heat", CLOCK_THROTTLE_REASONS: "reasons of low clocks",
  DRAM_ACTIVE: "memory active", GR_ENGINE_ACTIVE: "engine active", PIPE_TENSOR_ACTIVE: "tensor cores active",
  CORRECTABLE_REMAPPED_ROWS: "memory rows remapped, correctable", UNCORRECTABLE_REMAPPED_ROWS: "memory rows remapped, uncorrectable",
  ROW_REMAP_FAILURE: "memory rows not remapped",
};
const bare = (metric) => metric.replace(/^DCGM_FI_(DEV|PROF)_/, "");

/** The name of a metric as people say it; else without what all names of DCGM begin with. */
export function short(metric) {
  const name = bare(metric);
  return COMMON[name] ?? OTHERS[name] ?? name.replaceAll("_", " ").toLowerCase();
}

/** Metrics in the order in which people look for them: the common ones, then the others by what they are called. */
export function sought(metrics) {
  const places = Object.keys(COMMON);
  const place = ({ name }) => (places.includes(bare(name)) ? places.indexOf(bare(name)) : places.length);
  return [...metrics].sort((a, b) => place(a) - place(b) || short(a.name).localeCompare(short(b.name)));
}

/** What is wrong with a GPU, or was when it was read last: faulty or degraded; null if nothing is. */
export function illness({ reasons = [] }) {
  return ["faulty", "degraded"].find((severity) => reasons.some((reason) => reason.rule !== "silent" && reason.severity === severity)) ?? null;
}

/** The state of a GPU in words. One that fell silent keeps what was wrong with it. */
export function state(gpu) {
  const isSilent = gpu.silent || (gpu.reasons ?? []).some(({ rule }) => rule === "silent");
  const was = illness(gpu);
  return isSilent ? `silent${was ? `, was ${was}` : ""}` : gpu.state;
}

/** The class of a state's colour. */
export function stateClass(gpu) {
  return illness(gpu) === "faulty" ? "bad" : ["silent", "degraded"].includes(gpu.state) ? "warn" : null;
}

/** A time of day, with the date if it is another than today's. */
export function clock(time, now = new Date()) {
  const at = new Date(time);
  const day = at.toDateString() === now.toDateString() ? "" : at.toLocaleDateString("en-CA") + " ";
  return day + at.toLocaleTimeString("en-GB");
}

/** A span of time; its end has its date where it is another day than the begin. */
export function span(start, end, now = new Date()) {
  const [from, to] = [new Date(start), new Date(end)];
  const isOneDay = from.toDateString() === to.toDateString();
  return `${clock(from, now)} to ${clock(to, isOneDay ? from : new Date(NaN))}`;
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
