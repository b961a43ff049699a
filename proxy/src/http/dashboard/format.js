// Numbers in the units that people use.

const counts = new Intl.NumberFormat('en');
const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];

/** Gives a number's unit prefix as a power of 1,000, so that what is left is from 1 to 1,000. */
export function scaleOf(value) {
  if (!(value >= 1)) return 0;
  // 999.9 k would be written as 1,000 k.
  const rounded = Number(value.toPrecision(3));
  return Math.min(Math.floor(Math.log10(rounded) / 3 + 1e-9), PREFIXES.length - 1);
}

export const prefixOf = (scale) => PREFIXES[scale];

/** 1,020,000,000,000 is 1.02 TH/s. */
export function hashrate(value) {
  const scale = scaleOf(value);
  return `${threeDigits(value / 1000 ** scale)} ${PREFIXES[scale]}H/s`;
}

/** 1,234 is 1,234; nothing is rounded, since operators compare these with the pool's. */
export const count = (value) => counts.format(value);

/** 65,536 is 65.5 k; fractions, which only CPU miners have, keep three digits. */
export function difficulty(value) {
  if (value > 0 && value < 0.01) return value.toExponential(1);
  const scale = value < 10_000 ? 0 : scaleOf(value);
  return `${threeDigits(value / 1000 ** scale)}${scale ? ' ' : ''}${PREFIXES[scale]}`;
}

/** 0.0123 is 1.23 %. A part that is neither none nor all is never rounded to one of them. */
export function percent(part) {
  const hundredths = part * 100;
  if (part > 0 && hundredths < 0.01) return 'under 0.01 %';
  if (part < 1 && hundredths > 99.99) return '99.99 %';
  const digits = hundredths >= 99 ? 4 : hundredths >= 1 ? 3 : 2;
  return `${Number(hundredths.toPrecision(digits))} %`;
}

/** 3,700 s are 1 h 1 min. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const units = [[86_400, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']];
  const first = units.findIndex(([length]) => whole >= length);
  if (first < 0) return '0 s';
  const [length, name] = units[first];
  const large = Math.floor(whole / length);
  const next = units[first + 1];
  // The second unit matters while the first is small.
  const small = next && large < 10 && name !== 'min' ? Math.floor((whole % length) / next[0]) : 0;
  return small ? `${large} ${name} ${small} ${next[1]}` : `${large} ${name}`;
}

/** `1 worker`, `2 workers`. */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** The program's words, such as `low-difficulty`, as people write them. */
export const plain = (word) => word.replaceAll('-', ' ');

function threeDigits(value) {
  if (!(value > 0)) return '0';
  if (value < 1) return String(Number(value.toPrecision(3)));
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}
