// Judges the farm: one headline, the worst first, and whatever else an operator should know. Nothing of the page is
// touched here.

import { count, counted, hashrate, percent, plain } from './format.js';

const LEVELS = ['ok', 'idle', 'warn', 'bad'];

/** Part of the last hour's shares that may be refused: stale ones of new blocks are far below. */
const REFUSED = 0.05;
/** Part of the last hour's work that pools should have acknowledged; chance and late answers take some percent. */
const ACKNOWLEDGED = 0.8;
/** Acknowledged shares below which that says nothing. */
const ENOUGH = 500;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/**
 * Gives `{level, words, since, findings}`. `since` is the time from which on it is so, where it is known; `findings`
 * are the others, each `{level, words}`.
 */
export function judge(status, upstreams, workers) {
  const found = [
    ...outages(status, upstreams),
    ...keptBlocks(status),
    ...poolsAway(upstreams),
    ...refusals(status),
    ...acknowledgements(status, upstreams),
    ...workersInTrouble(status, workers),
    ...nobody(status),
  ];
  const worst = (finding) => -LEVELS.indexOf(finding.level);
  found.sort((one, other) => worst(one) - worst(other));
  const [first, ...findings] = found;
  if (first) return { findings, ...first };
  return { level: 'ok', words: 'All well', findings: [{ level: 'ok', words: calm(status, workers) }] };
}

/** Upstreams of the same listeners stand for each other. */
function groups(upstreams) {
  const sets = Map.groupBy(upstreams, (upstream) => upstream.listeners.join(', '));
  return [...sets];
}

function outages(status, upstreams) {
  if (!status.ready) {
    return [{ level: 'bad', words: 'No pool has work', since: status.outage_since }];
  }
  const idle = groups(upstreams).filter(([, set]) => !set.some((upstream) => upstream.gives_work));
  return idle.map(([listeners]) => ({ level: 'bad', words: `No pool has work for the miners of ${listeners}` }));
}

/** Somebody has to act on it at once; after a day it is history. */
function keptBlocks({ blocks_kept: kept, last_block_kept: last, time }) {
  if (last === null || Date.parse(time) - Date.parse(last) > DAY) return [];
  // A pool that was taken out of the config has taken its counts along.
  const words = `${counted(Math.max(kept, 1), 'solved block')} may not have reached the pool: look at what happened below`;
  return [{ level: 'bad', words, since: last }];
}

/** Tells whether a pool is wanted and not there, rather than not needed or on its way for the first time. */
function isAway({ gives_work, last_failure, retry_at, state }) {
  return !gives_work && last_failure !== null && (retry_at !== null || state !== 'waiting');
}

function poolsAway(upstreams) {
  const found = [];
  for (const [, set] of groups(upstreams)) {
    const active = set.findIndex((upstream) => upstream.active);
    set.forEach((upstream, place) => {
      const name = `“${upstream.name}”`;
      const instead = place < active ? `, the miners work for “${set[active].name}”` : '';
      if (upstream.state === 'late') found.push({ level: 'warn', words: `${name} is late with a block${instead}` });
      else if (isAway(upstream)) found.push({ level: 'warn', words: `${name} is away${instead}`, since: upstream.since });
      else if (instead && upstream.gives_work) found.push({ level: 'warn', words: `${name} is back${instead} until it has proved itself` });
    });
  }
  return found;
}

function refusals({ shares, ready }) {
  const ratio = shares.rejected_ratio_1h;
  // Without a pool there is nobody to take them, which is told already.
  if (!ready || ratio === null || ratio < REFUSED || shares.submitted < 20) return [];
  return [{ level: 'warn', words: `${percent(ratio)} of the last hour's shares were refused` }];
}

function acknowledgements(status, upstreams) {
  const sum = (name) => upstreams.reduce((total, upstream) => total + upstream[name], 0);
  const young = Date.parse(status.time) - Date.parse(status.started) < HOUR;
  if (!status.ready || young || sum('shares_acknowledged') < ENOUGH) return [];
  const part = sum('hashrate_acknowledged_1h') / status.hashrate['1h'];
  if (!(part < ACKNOWLEDGED)) return [];
  return [{ level: 'warn', words: `Pools acknowledged only ${percent(part)} of the last hour's work` }];
}

function workersInTrouble(status, { problems }) {
  // Without a pool nobody has work, and nobody finds shares.
  const told = worstFirst(problems).filter(([problem]) => status.ready || problem === 'offline');
  if (told.length === 0) return [];
  const [[problem, number], ...others] = told;
  const more = others.map(([other, many]) => `${count(many)} ${inWords(other)}`);
  return [{ level: 'warn', words: [`${counted(number, 'worker')} ${inWords(problem)}`, ...more].join(', ') }];
}

function nobody({ miners, listeners }) {
  if (miners.mining > 0) return [];
  const ports = listeners.map((listener) => listener.address.split(':').pop());
  const advice = `Point them at port ${ports.join(' or ')} of this machine`;
  return [{ level: 'idle', words: 'No miner is connected' }, { level: 'idle', words: advice }];
}

function calm(status, { total }) {
  const pools = status.active_upstreams.map((name) => `“${name}”`).join(' and ');
  return `${counted(total, 'worker')} at ${hashrate(status.hashrate['10m'])} for ${pools}`;
}

const PROBLEMS = ['offline', 'silent', 'paused', 'rejected', 'without-work', 'falling', 'setting-up'];

/** Gives the counts of problems as pairs, the worst problem first. */
export function worstFirst(problems) {
  const place = ([problem]) => PROBLEMS.indexOf(problem);
  return Object.entries(problems).sort((one, other) => place(one) - place(other));
}

const WORDS = { rejected: 'with many refused shares', 'setting-up': 'stuck in set-up', falling: 'losing hashrate' };

/** Gives the words for a problem of the API. */
export const inWords = (problem) => WORDS[problem] ?? plain(problem);
