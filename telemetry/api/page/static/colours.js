// Colours of values: one hue after the other, growing in darkness, so that print and colour-blind eyes see the order.

const STEPS = 8;
const BOUNDS = { "%": [0, 100], C: [20, 95], "°C": [20, 95] };

/** The span of values that the colours stand for: fixed where a unit has one, else that of the values. */
export function bounds(values, unit) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (BOUNDS[unit]) return BOUNDS[unit];
  if (!known.length) return [0, 1];
  const low = Math.min(0, known.reduce((a, b) => Math.min(a, b)));
  const high = known.reduce((a, b) => Math.max(a, b));
  return [low, high > low ? high : low + 1];
}

/** The class of a value's colour, `c0` to `c7`; `none` without a value. */
export function colour(value, [low, high]) {
  if (value === null || value === undefined) return "none";
  return `c${Math.min(STEPS - 1, Math.max(0, Math.floor(((value - low) / (high - low)) * STEPS)))}`;
}

/** The classes in order, each with the value at which it begins. */
export function scale([low, high]) {
  return Array.from({ length: STEPS }, (_, step) => [`c${step}`, low + ((high - low) * step) / STEPS]);
}
