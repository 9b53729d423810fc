/** From values to positions, with ticks at round numbers. */

/** A position for every value of a domain. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

/**
 * Round steps (1, 2 or 5 times a power of ten) from 0 to the first at or beyond `max`.
 *
 * @param wanted - about how many steps; the answer has at most twice as many
 */
export function niceTicks(max: number, wanted: number): readonly number[] {
  if (!(max > 0) || !Number.isFinite(max)) return [0, 1];
  const rough = max / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((f) => f * power >= rough * (1 - 1e-9)) ?? 10;
  const step = factor * power;
  const steps = Math.max(1, Math.ceil(max / step - 1e-9));
  return Array.from({ length: steps + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

/** 0 to a round number at or above `max`. */
export function roundScale(max: number, from: number, to: number, wanted: number): Scale {
  const ticks = niceTicks(max, wanted);
  const top = ticks.at(-1) ?? 1;
  return { at: (value) => from + ((to - from) * value) / top, ticks };
}

/** 0 to exactly `max`, with the round ticks that fit. */
export function exactScale(max: number, from: number, to: number, wanted: number): Scale {
  const top = max > 0 ? max : 1;
  return {
    at: (value) => from + ((to - from) * value) / top,
    ticks: niceTicks(top, wanted).filter((tick) => tick <= top * (1 + 1e-9)),
  };
}

/** Whole decades around `min` to `max` (both above 0), a tick each, or each few when there are many. */
export function logScale(min: number, max: number, from: number, to: number, wanted: number): Scale {
  const low = Math.floor(Math.log10(min) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(max) - 1e-9));
  const every = Math.max(1, Math.ceil((high - low) / Math.max(1, wanted)));
  const ticks: number[] = [];
  for (let exponent = low; exponent <= high; exponent += every) ticks.push(10 ** exponent);
  return {
    at: (value) => from + ((to - from) * (Math.log10(value) - low)) / (high - low),
    ticks,
  };
}
