/**
 * Numbers as text, the same on every machine (no locale), rounded so that nothing claims more than it is: what is not
 * zero never reads `0.00`, what is not everything never reads `100.00`.
 */

/** Stands where a number does not exist: a share of nothing, a level that a processor lacks. */
export const NONE = '–';

/** A whole number with thousands separators: `10,000,000`. */
export function count(n: number): string {
  if (!Number.isFinite(n)) return NONE;
  return group(Math.round(n).toFixed(0));
}

/** `part` of `whole` in percent, two decimals, without the sign. */
export function percent(part: number, whole: number): string {
  if (!(whole > 0) || !Number.isFinite(part)) return NONE;
  const value = (100 * part) / whole;
  if (part === 0) return '0';
  if (value < 0.005) return '<0.01';
  if (value > 99.995 && part < whole) return '>99.99';
  return value.toFixed(2);
}

/** A quantity with a fixed number of decimals: `1,234.568`, `<0.001`. */
export function fixed(n: number, decimals = 3): string {
  if (!Number.isFinite(n)) return NONE;
  if (n === 0) return '0';
  const least = 10 ** -decimals;
  if (n > 0 && n < least / 2) return `<${least.toFixed(decimals)}`;
  const [whole = '', fraction] = n.toFixed(decimals).split('.');
  return fraction === undefined ? group(whole) : `${group(whole)}.${fraction}`;
}

/** A quantity in running text: three significant digits, three decimals at most, whole numbers in full. */
export function figureText(n: number): string {
  if (!Number.isFinite(n)) return NONE;
  if (Number.isInteger(n) || Math.abs(n) >= 999.5) return count(n);
  if (n > 0 && n < 0.0005) return '<0.001';
  return n.toFixed(Math.abs(n) >= 100 ? 0 : Math.abs(n) >= 10 ? 1 : Math.abs(n) >= 1 ? 2 : 3);
}

const POWERS: readonly (readonly [number, string])[] = [[1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];

/** A short number for an axis or a label: `2.5 M`, `0.05`. */
export function short(n: number): string {
  for (const [power, letter] of POWERS) {
    if (Math.abs(n) >= power * 0.9995) return `${trim(n / power)} ${letter}`;
  }
  return trim(n);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** A size in binary units: `132 KiB`, `1.5 GiB`. */
export function bytes(n: number): string {
  if (!Number.isFinite(n)) return NONE;
  let value = n;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${trim(value)} ${UNITS[unit]}`;
}

/** Text without what a terminal or a page could take for an order: control and bidirectional characters become `�`. */
export function printable(text: string): string {
  return String(text).replace(/[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, '\ufffd');
}

/** Three significant digits, no zeros at the end. */
function trim(n: number): string {
  return Number(n.toPrecision(3)).toString();
}

function group(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, ',');
}
