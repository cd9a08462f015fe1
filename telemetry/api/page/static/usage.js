// The figures of usage as people read them: what each is called, how it is shown, and what it means.

import { number } from "./words.js";

const percent = (value) => (value === null ? "–" : `${number(100 * value)} %`);
const hours = (value) => (value === null ? "–" : `${number(value)} GPU-h`);

export const FIGURES = [
  ["held_hours", "Held", hours], ["idle_hours", "Held and idle", hours], ["low_use_hours", "Low use", hours], ["duty_cycle", "Busy", percent],
  ["coverage", "Covered", percent], ["free_hours", "Free", hours], ["energy_kwh", "Energy", (value) => (value === null ? "–" : `${number(value)} kWh`)],
  ["cost", "Cost", number],
];

/** The figures to show: there is a cost only where there are rates. */
export function figuresOf({ currency }) {
  return FIGURES.filter(([name]) => name !== "cost" || currency);
}

/** The entries of the numbers at the top of a page, from the row of a whole span. */
export function totals(row, document) {
  if (!row) return [["Held", "–", "nothing was read in this span"]];
  const share = row.held_hours && row.idle_hours !== null ? `${number((100 * row.idle_hours) / row.held_hours)} % of the held time` : "of the held time";
  return [
    ["Held", hours(row.held_hours), `GPU-hours that somebody had${row.free_hours ? `; ${hours(row.free_hours)} were free` : ""}`],
    ["Held and idle", hours(row.idle_hours), `${share}; utilisation below ${document.idle_below_percent} %`, row.idle_hours > row.held_hours / 4 ? "warn" : ""],
    ["Busy", percent(row.duty_cycle), "mean utilisation while held"],
    ["Energy", row.energy_kwh === null ? "–" : `${number(row.energy_kwh)} kWh`, row.energy_from ? `drawn, by ${{ counter: "the counters", power: "power over time", both: "counters and power" }[row.energy_from]}` : "no reading tells"],
    ["Covered", percent(row.coverage), "of the held time has readings", row.coverage !== null && row.coverage < 0.9 ? "warn" : ""],
    ...(document.currency ? [["Cost", `${number(row.cost)} ${document.currency}`, `held hours and their energy, by the table of rates${row.unpriced_hours > 0 ? `; ${hours(row.unpriced_hours)} have no rate` : ""}`]] : []),
  ];
}

/** What the columns mean. */
export function meaning({ idle_below_percent: idle, low_use_below_percent: low }) {
  return `Held: somebody had the GPU. Held and idle: utilisation below ${idle} %. Low use: held and not idle, and below ${low} %. Busy: mean utilisation while held. `
    + "Covered: the part of the held time that has readings. Free: read while nobody had it. Energy: drawn while held and while free.";
}
