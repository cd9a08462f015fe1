// The readings of one GPU over a span, raw or in steps, and what they say of who held it. Nothing is drawn here.

import { all, get } from "./api.js";

const POINTS = 400;
const STEPS_S = [5, 10, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 86400];
// As many readings of a metric as a chart shows one by one.
const RAW_S = 900;
const LIMIT = 100000;

/** The length in ms of a span's name, such as 6h. */
export function lengthMs(name) {
  return parseInt(name, 10) * { m: 60000, h: 3600000, d: 86400000 }[name.at(-1)];
}

/** Points by metric, [{at, value, low, high}] by time. */
export async function history(gpu, metrics, from, to) {
  const span_s = (to - from) / 1000;
  const step = span_s <= RAW_S ? null : STEPS_S.find((each) => span_s / each <= POINTS) ?? STEPS_S.at(-1);
  const ask = async (agg) => (await get(`/api/v1/gpus/${encodeURIComponent(gpu)}/telemetry`, [
    ...metrics.map((metric) => ["metric", metric]),
    ["start_time", new Date(from).toISOString()], ["end_time", new Date(to).toISOString()], ["limit", LIMIT],
    ...(step ? [["step", `${step}s`], ["agg", agg]] : []),
  ])).document.items;
  const asked = await Promise.all((step ? ["avg", "min", "max"] : [null]).map(ask));
  const points = new Map(metrics.map((metric) => [metric, new Map()]));
  asked.forEach((rows, kind) => {
    for (const { metric, timestamp, value } of whole(rows)) add(points.get(metric), Date.parse(timestamp), value, kind, step !== null);
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

/** Who had the GPU, the latest first. */
export async function holders(gpu) {
  const { items } = await all(`/api/v1/gpus/${encodeURIComponent(gpu)}/allocations`);
  return items;
}
