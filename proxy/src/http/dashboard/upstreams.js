// The pools: state, what was sent to each against what it acknowledged, and why it was lost last.

import { byId, element, keep, setNumber, setShape, setText, shape } from './dom.js';
import { count, counted, difficulty, hashrate, percent, span } from './format.js';
import { showTime } from './clock.js';
import { openShares } from './overview.js';

/** What each state means to an operator, with its level. */
const STATES = {
  active: ['ok', 'Active'],
  warm: ['ok', 'Warm standby'],
  late: ['warn', 'Late with a block'],
  open: ['idle', 'Waits for its first job'],
  opening: ['idle', 'Opening a channel'],
  'setting-up': ['idle', 'Setting up'],
  dialling: ['idle', 'Dialling'],
};

/** Shows `/api/v1/upstreams`. */
export function showUpstreams(upstreams) {
  // A pool is listed once for each set of listeners; which ones matters only where there are several.
  const sets = new Set(upstreams.map((upstream) => upstream.listeners.join(', ')));
  const rows = upstreams.map((upstream) => ({ ...upstream, several: sets.size > 1 }));
  keep(byId('upstreams'), rows, (row) => `${row.name} ${row.listeners}`, makeUpstream);
}

function stateOf({ state, active, retry_at, last_failure }) {
  if (state === 'waiting') return retry_at ? ['bad', 'Away'] : ['idle', 'Not needed'];
  const [level, words] = STATES[state] ?? ['idle', state];
  // Between two attempts of a pool that is gone, it is still gone.
  if (level === 'idle' && last_failure) return ['bad', `Away, ${words.toLowerCase()}`];
  return active && state !== 'active' ? [level, `${words}, still active`] : [level, words];
}

function makeUpstream({ name }) {
  const mark = shape('idle');
  const parts = {
    state: element('span'),
    since: element('time'),
    listeners: element('p', { class: 'small' }),
    acknowledged: element('data'),
    sent: element('data'),
    rest: element('span'),
    gauge: element('i', { class: 'gauge broad' }),
    rate: element('data'),
    difficulty: element('span'),
    answers: element('span'),
    retry: element('time'),
    failed: element('time'),
    reason: element('span'),
    more: element('p', { class: 'small' }),
  };
  const failure = element('p', { class: 'failure' }, 'Last failure ', parts.failed, ': ', parts.reason);
  const retry = element('span', {}, ' · ', parts.retry);
  const node = element('article', { 'aria-label': name },
    element('h3', {}, name),
    element('p', { class: 'pool-state' }, mark, element('strong', {}, parts.state), ' ', parts.since, retry),
    parts.listeners,
    element('p', { class: 'sent' }, parts.acknowledged, ' of ', parts.sent, ' shares acknowledged', parts.rest),
    parts.gauge,
    element('dl', {},
      fact('Acknowledged, 1 h', parts.rate), fact('Difficulty', parts.difficulty), fact('Answers in', parts.answers)),
    failure, parts.more);
  return { node, update: (upstream) => update(node, mark, parts, { failure, retry }, upstream) };
}

const fact = (name, value) => element('div', {}, element('dt', {}, name), element('dd', {}, value));

function update(node, mark, parts, optional, upstream) {
  const [level, words] = stateOf(upstream);
  node.dataset.level = level;
  setShape(mark, level);
  setText(parts.state, words);
  showTime(parts.since, upstream.since, (seconds) => `for ${span(seconds)}`);
  optional.retry.hidden = !upstream.retry_at;
  showTime(parts.retry, upstream.retry_at, (seconds) => (seconds < 0 ? `next attempt in ${span(-seconds)}` : 'dialled again now'));
  parts.listeners.hidden = !upstream.several;
  setText(parts.listeners, `for miners of ${upstream.listeners.join(', ')}`);
  showShares(parts, upstream);
  setNumber(parts.rate, upstream.hashrate_acknowledged_1h, hashrate);
  setText(parts.difficulty, upstream.difficulty === null ? '–' : difficulty(upstream.difficulty));
  const { mean_answer_seconds: mean } = upstream;
  setText(parts.answers, mean === null ? '–' : mean < 1 ? `${Math.round(mean * 1000)} ms` : `${mean.toFixed(1)} s`);
  optional.failure.hidden = upstream.last_failure === null;
  showTime(parts.failed, upstream.last_failure?.time);
  setText(parts.reason, upstream.last_failure?.reason ?? '');
  setText(parts.more, moreOf(upstream));
}

function showShares(parts, upstream) {
  const { shares_sent: sent, shares_acknowledged: acknowledged } = upstream;
  setNumber(parts.acknowledged, acknowledged, count);
  setNumber(parts.sent, sent, count);
  const open = { rejected: upstream.shares_rejected, pending: upstream.shares_pending, unanswered: upstream.shares_unanswered };
  const part = sent === 0 ? '' : ` (${percent(acknowledged / sent)})`;
  setText(parts.rest, part + openShares(open));
  parts.gauge.style.setProperty('--part', sent === 0 ? 0 : acknowledged / sent);
}

/** What is seldom anything but nothing. */
function moreOf(upstream) {
  const codes = Object.entries(upstream.shares_rejected_by_code).map(([code, number]) => `${count(number)} ${code}`);
  const parts = [
    codes.length > 0 && `Refused: ${codes.join(', ')}`,
    upstream.blocks_late > 0 && `${counted(upstream.blocks_late, 'block')} late`,
    upstream.blocks_kept > 0 && `${counted(upstream.blocks_kept, 'solved block')} kept`,
    upstream.own_channels > 0 && `${counted(upstream.own_channels, 'further channel')}`,
    upstream.extranonce_refusals > 0 && `refused extranonce ${counted(upstream.extranonce_refusals, 'time')}`,
  ];
  return parts.filter(Boolean).join(' · ');
}
