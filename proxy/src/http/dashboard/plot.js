// The farm's hashrate over time, as SVG drawn at the size that it has: texts stay readable at any width.
//
// With the pointer, a finger or the arrow keys one step is chosen, and its values are said beside it.

import { byId, choices } from './dom.js';
import { proxyNow, shortTime } from './clock.js';
import { counted, count, hashrate, prefixOf, scaleOf } from './format.js';
import { ask } from './proxy.js';
import { onWish, want, wish } from './wish.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** How far back, with the step that makes some hundred points of it in minutes, and the distance of times on the axis. */
const RANGES = {
  1: { words: '1 h', step: 1, mark: 10 * MINUTE },
  6: { words: '6 h', step: 2, mark: HOUR },
  24: { words: '24 h', step: 5, mark: 3 * HOUR },
};
const ROOM = { left: 68, right: 10, top: 10, bottom: 22 };

/** What the proxy told: its steps, and those that it told before it was restarted. */
let points = [];
let step = MINUTE;
let begun = 0;
let end = 0;
/** The step that is chosen, by its time; `null` where none is. */
let chosen = null;
/** When the next step will be over, by the proxy's clock. */
let due = 0;
let asked = null;

/** Where nobody chose one, the shortest range that holds all there is. */
function rangeOf() {
  if (wish.range in RANGES) return wish.range;
  const age = (proxyNow() - begun) / HOUR;
  return age <= 1 ? '1' : age <= 6 ? '6' : '24';
}

/** Asks for the history where a step has been finished since, or other steps are wanted. */
export async function refreshPlot() {
  const wanted = RANGES[rangeOf()].step;
  if (wanted === asked && proxyNow() < due) return undefined;
  const answer = await ask('hashrate', { step: wanted });
  const start = Date.parse(answer.start);
  step = answer.step_seconds * 1000;
  // After a restart the proxy begins anew, and what it told before is still true. Steps of another length do not fit.
  const before = wanted === asked ? points.filter(({ at }) => at + step <= start) : [];
  const told = answer.hashrate.map((rate, index) => ({
    at: start + index * step,
    rate,
    miners: answer.miners[index],
    accepted: answer.shares_accepted[index],
    rejected: answer.shares_rejected[index],
  }));
  points = [...before, ...told];
  begun = points[0]?.at ?? start;
  end = Date.parse(answer.time);
  asked = wanted;
  due = start + (told.length + 1) * step + 1_000;
  // Only now it is known how long the proxy runs, and with that which range is shown.
  if (RANGES[rangeOf()].step !== wanted) return refreshPlot();
  return draw();
}

const plot = byId('plot');
let size = { width: 0, height: 0 };
/** Turns times and rates into places; set by each drawing. */
let xOf;
let yOf;
let seen = [];

function draw() {
  const { width, height } = size;
  if (width === 0 || asked === null) return;
  const hours = Number(rangeOf());
  const from = end - hours * HOUR;
  seen = points.filter(({ at }) => at + step > from);
  const { top, ticks, scale } = rates(Math.max(...seen.map(({ rate }) => rate), 0));
  xOf = (at) => ROOM.left + ((Math.max(at, from) - from) / (end - from)) * (width - ROOM.left - ROOM.right);
  yOf = (rate) => height - ROOM.bottom - (rate / top) * (height - ROOM.top - ROOM.bottom);
  const svg = make('svg', { viewBox: `0 0 ${width} ${height}`, width, height, 'aria-hidden': 'true' });
  svg.append(...rateAxis(ticks, scale), ...timeAxis(from, RANGES[hours].mark));
  for (const run of runs(seen)) svg.append(...area(run));
  svg.append(...absent(from));
  svg.append(make('g', { id: 'plot-cursor' }));
  plot.replaceChildren(svg);
  showChoices();
  choose(chosen);
}

/** Makes rounded marks for rates from 0 to the greatest. */
function rates(greatest) {
  if (greatest === 0) return { top: 1, scale: 0, ticks: [0] };
  const scale = scaleOf(greatest);
  const unit = 1000 ** scale;
  const rough = greatest / unit / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const distance = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power * unit;
  const number = Math.max(1, Math.ceil((greatest * 1.02) / distance));
  return { top: number * distance, scale, ticks: Array.from({ length: number + 1 }, (_, index) => index * distance) };
}

function rateAxis(ticks, scale) {
  const unit = 1000 ** scale;
  return ticks.flatMap((rate) => {
    const y = yOf(rate);
    const words = rate === 0 ? '0' : `${Number((rate / unit).toPrecision(3))} ${prefixOf(scale)}H/s`;
    const text = make('text', { x: ROOM.left - 6, y: y + 4, class: 'rate' }, words);
    return [make('line', { x1: ROOM.left, x2: size.width - ROOM.right, y1: y, y2: y, class: 'grid' }), text];
  });
}

function timeAxis(from, usual) {
  // Marks that would touch each other are left out.
  const most = Math.floor((size.width - ROOM.left - ROOM.right) / 60);
  let distance = usual;
  while ((end - from) / distance > most) distance *= 2;
  // Whole hours of the browser's time zone.
  const shift = new Date(from).getTimezoneOffset() * MINUTE;
  const marks = [];
  for (let at = Math.ceil((from - shift) / distance) * distance + shift; at <= end; at += distance) {
    const [x, y] = [xOf(at), size.height - ROOM.bottom];
    const text = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' }).format(at);
    marks.push(make('line', { x1: x, x2: x, y1: y, y2: y + 4, class: 'mark' }), make('text', { x, y: y + 17, class: 'time' }, text));
  }
  return marks;
}

/** Cuts the points where there is no data between them. */
function runs(all) {
  const cut = [];
  for (const point of all) {
    const last = cut.at(-1)?.at(-1);
    if (last && point.at - last.at < 1.5 * step) cut.at(-1).push(point);
    else cut.push([point]);
  }
  return cut;
}

/** Draws a run: a step's value stands in its middle. */
function area(run) {
  const places = run.map(({ at, rate }) => [xOf(at + step / 2), yOf(rate)]);
  if (places.length === 1) {
    const [[x, y]] = places;
    return [make('circle', { cx: x, cy: y, r: 2.5, class: 'dot' })];
  }
  const line = places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L');
  const floor = yOf(0);
  const closed = `M${places[0][0]} ${floor}L${line}L${places.at(-1)[0]} ${floor}Z`;
  return [make('path', { d: closed, class: 'area' }), make('path', { d: `M${line}`, class: 'line' })];
}

/** Shades what nobody knows of: before the proxy started, and while it was away. */
function absent(from) {
  const gaps = [];
  let known = from;
  for (const { at } of seen) {
    if (at - known > step / 2) gaps.push([known, at]);
    known = at + step;
  }
  // The last step is not over: that is no gap.
  if (end - known > 2 * step) gaps.push([known, end]);
  return gaps.flatMap(([since, until]) => {
    const [x, width] = [xOf(since), xOf(until) - xOf(since)];
    const shade = make('rect', { x, width, y: ROOM.top, height: size.height - ROOM.top - ROOM.bottom, class: 'gap' });
    const words = make('text', { x: x + width / 2, y: size.height / 2, class: 'no-data' }, 'no data');
    return width > 70 ? [shade, words] : [shade];
  });
}

/** Chooses a step by its time; `null` chooses none. */
function choose(at) {
  const point = seen.find((its) => its.at === at);
  chosen = point ? at : null;
  const cursor = byId('plot-cursor');
  cursor.replaceChildren();
  const last = seen.length - 1;
  const index = point ? seen.indexOf(point) : last;
  plot.setAttribute('aria-valuemin', '0');
  plot.setAttribute('aria-valuemax', String(Math.max(last, 0)));
  plot.setAttribute('aria-valuenow', String(Math.max(index, 0)));
  plot.setAttribute('aria-valuetext', seen.length ? describe(seen[index]) : 'no data yet');
  byId('plot-value').textContent = seen.length ? describe(seen[index]) : `The first ${step / MINUTE} min are not over yet.`;
  if (!point) return;
  const [x, y] = [xOf(point.at + step / 2), yOf(point.rate)];
  cursor.append(make('line', { x1: x, x2: x, y1: ROOM.top, y2: yOf(0) }), make('circle', { cx: x, cy: y, r: 4 }));
}

function describe({ at, rate, miners, accepted, rejected }) {
  const until = at + step;
  const shares = `${counted(accepted, 'share')} accepted, ${count(rejected)} refused`;
  return `${shortTime(at)} to ${shortTime(until).slice(-5)}: ${hashrate(rate)}, ${counted(miners, 'miner')}, ${shares}`;
}

function chooseNear(event) {
  if (seen.length === 0) return;
  const x = event.clientX - plot.getBoundingClientRect().left;
  const far = ({ at }) => Math.abs(xOf(at + step / 2) - x);
  choose(seen.reduce((best, point) => (far(point) < far(best) ? point : best)).at);
}

function chooseByKey(event) {
  const last = seen.length - 1;
  const now = chosen === null ? last : seen.findIndex(({ at }) => at === chosen);
  const hour = Math.round(HOUR / step);
  const next = {
    ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1,
    PageDown: now - hour, PageUp: now + hour, Home: 0, End: last,
  }[event.key];
  if (event.key === 'Escape') choose(null);
  if (next === undefined || last < 0) return;
  event.preventDefault();
  choose(seen[Math.max(0, Math.min(last, next))].at);
}

function make(name, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function showChoices() {
  const now = rangeOf();
  const options = Object.entries(RANGES).map(([value, { words }]) => ({ value, words, chosen: value === now }));
  choices(byId('ranges'), options, (value) => want({ range: value }));
}

// A slider over time is what a plot is to who does not see it.
plot.tabIndex = 0;
plot.setAttribute('role', 'slider');
plot.setAttribute('aria-label', 'Hashrate of the farm over time');
plot.addEventListener('pointermove', chooseNear);
plot.addEventListener('pointerdown', chooseNear);
plot.addEventListener('pointerleave', () => choose(null));
plot.addEventListener('keydown', chooseByKey);
new ResizeObserver(([{ contentRect: { width, height } }]) => {
  size = { width, height };
  draw();
}).observe(plot);
onWish((changed) => changed.includes('range') && showChoices());
showChoices();
