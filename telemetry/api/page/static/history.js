// The readings of one GPU over a span, raw or in steps, who held it, and lines of many GPUs. Nothing is drawn here.

import { all, get } from "./api.js";

const POINTS = 400;
const STEPS_S = [5, 10, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 86400];
// As many readings of a metric as a chart shows one by one.
const RAW_S = 900;
// The last time that a date can have.
const END_MS = 8.64e15;
const LIMIT = 100000;
// As many steps as one page of an answer may have.
const STEPS = 10000;

/** The length in ms of a span's name, such as 6h. */
export function lengthMs(name) {
  return parseInt(name, 10) * { m: 60000, h: 3600000, d: 86400000 }[name.at(-1)];
}

/** The length in s of the steps of a span, null if it is so short that readings are shown one by one. */
export function stepOf(from, to) {
  const span_s = (to - from) / 1000;
  return span_s <= RAW_S ? null : STEPS_S.find((each) => span_s / each <= POINTS) ?? STEPS_S.at(-1);
}

/** The times that a view shows: those zoomed into, or the last `span` before now. */
export function times({ from, to, span }, usual, now) {
  const [low, high] = [Number(from), Number(to)];
  if (low > 0 && high > low && high < END_MS) return [low, high];
  return [now - (lengthMs(span) || lengthMs(usual.span)), now];
}

/** Points by metric, [{at, value, low, high}] by time; `low` and `high` if they are among the aggregates. */
export async function history(gpu, metrics, from, to, aggregates = ["avg", "min", "max"]) {
  const step = stepOf(from, to);
  const ask = async (agg) => (await get(`/api/v1/gpus/${encodeURIComponent(gpu)}/telemetry`, [
    ...metrics.map((metric) => ["metric", metric]),
    ["start_time", new Date(from).toISOString()], ["end_time", new Date(to).toISOString()], ["limit", LIMIT],
    ...(step ? [["step", `${step}s`], ["agg", agg]] : []),
  ])).document.items;
  const asked = await Promise.all((step ? aggregates : [null]).map(ask));
  const points = new Map(metrics.map((metric) => [metric, new Map()]));
  asked.forEach((rows, kind) => {
    for (const { metric, timestamp, value } of whole(rows)) add(points.get(metric), Date.parse(timestamp), value, kind, step !== null && aggregates.length > 1);
  });
  const ordered = new Map([...points].map(([metric, byTime]) => [metric, [...byTime.values()].sort((a, b) => a.at - b.at)]));
  return ordered;
}

// Where a GPU has readings of its own, those of its MIG instances are left out.
function whole(rows) {
  const isOfPart = ({ labels }) => "GPU_I_ID" in (labels ?? {});
  const own = new Set(rows.filter((row) => !isOfPart(row)).map(({ metric }) => metric));
  return rows.filter((row) => !isOfPart(row) || !own.has(row.metric));
}

// Several series of one metric have a point of one time, if pods took turns within a step.
function add(byTime, at, value, kind, isStepped) {
  const point = byTime.get(at) ?? { at, value: null };
  if (kind === 0) point.value = value;
  if (isStepped && value !== null) {
    point.low = Math.min(point.low ?? value, value);
    point.high = Math.max(point.high ?? value, value);
  }
  byTime.set(at, point);
}

/** Who had the GPU within a span, the latest first. */
export async function holders(gpu, from, to) {
  const { items } = await all(`/api/v1/gpus/${encodeURIComponent(gpu)}/allocations`, [
    ["start_time", new Date(from).toISOString()], ["end_time", new Date(to).toISOString()],
  ]);
  return items;
}

/** The mean of a metric of each GPU that filters leave, in steps: [{gpu, host, index, points}] by host and index. */
export async function lines(metric, filters, from, to, least_s = 15) {
  const { items } = await all("/api/v1/query", [
    ["metric", metric], ["by", "gpu"], ["step", `${Math.max(stepOf(from, to) ?? 0, least_s)}s`], ...filters,
    ["start_time", new Date(from).toISOString()], ["end_time", new Date(to).toISOString()],
  ], STEPS);
  const byGpu = new Map();
  for (const { gpu, host, index, timestamp, value } of items) {
    if (!byGpu.has(gpu)) byGpu.set(gpu, { gpu, host, index, points: [] });
    byGpu.get(gpu).points.push({ at: Date.parse(timestamp), value });
  }
  for (const { points } of byGpu.values()) points.sort((a, b) => a.at - b.at);
  return [...byGpu.values()].sort((a, b) => `${a.host}`.localeCompare(`${b.host}`) || a.index - b.index);
}
