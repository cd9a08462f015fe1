// What the last readings say is wrong with a GPU. Thresholds and actions are those that vendors and fleet operators publish:
// NVIDIA's XID catalogue and DCGM's health checks; 85 and 95 °C as hosters of H100 warn. A reading is what was read last:
// an XID stays until the driver is loaded anew.

const RESET = "Drain the node, then reset the GPU.";
const REPLACE = "Drain the node and have the GPU replaced.";
const XIDS = {
  13: "Look at the application: it accessed memory that is not its own.",
  31: "Look at the application: it accessed memory that is not its own.",
  43: "The application ended; no action.",
  45: "Look for the XID before it: this one only cleans up.",
  48: RESET,
  62: RESET,
  63: "A row was remapped; reset the GPU when it is idle.",
  64: `${RESET} If it comes again, have the GPU replaced.`,
  74: "Look at the NVLink of this GPU, then reset it.",
  79: "The GPU fell off the bus: restart the machine, then call its vendor.",
  94: "Restart the application: the error was contained.",
  95: RESET,
  109: RESET,
  119: `${RESET} If it comes again, update the driver.`,
  120: `${RESET} If it comes again, update the driver.`,
  140: RESET,
  143: RESET,
};

// These tell of an application, or of a repair that went well.
const OF_NO_FAULT = new Set([13, 31, 43, 45, 63, 94]);
const NOTE = 9;

const RULES = [
  ["DCGM_FI_DEV_ROW_REMAP_FAILURE", (value) => value > 0, 0, () => "memory row could not be remapped", () => REPLACE],
  ["DCGM_FI_DEV_XID_ERRORS", (value) => value > 0 && !OF_NO_FAULT.has(value), 1, (value) => `XID ${value}`,
    (value) => XIDS[value] ?? "Look this XID up in NVIDIA's catalogue."],
  ["DCGM_FI_DEV_XID_ERRORS", (value) => OF_NO_FAULT.has(value), NOTE, (value) => `XID ${value}, no fault of the GPU`, (value) => XIDS[value]],
  ["DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", (value) => value > 0, 1, () => "uncorrectable memory errors", () => RESET],
  ["DCGM_FI_DEV_ROW_REMAP_PENDING", (value) => value > 0, 2, () => "a row waits to be remapped", () => RESET],
  ["DCGM_FI_DEV_GPU_TEMP", (value) => value >= 95, 1, () => "too hot", () => "Look at fans, air flow and load."],
  ["DCGM_FI_DEV_GPU_TEMP", (value) => value >= 85 && value < 95, 3, () => "hot", () => "Look at fans, air flow and load."],
];

/** The metrics that tell of faults. */
export const METRICS = [...new Set(RULES.map(([metric]) => metric))];

/** Whether a fault is one of the GPU, and not only worth a look. */
export const isOfGpu = ({ rank }) => rank < NOTE;

/** What a reading tells, the gravest first. */
export function faults({ metric, value, unit, timestamp }) {
  return RULES.filter(([name, isFault]) => name === metric && value !== null && isFault(value))
    .map(([, , rank, what, mend]) => ({ rank, what: what(value), mend: mend(value), metric, value, unit, at: timestamp }));
}
