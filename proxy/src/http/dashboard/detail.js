// All that is known of one worker or connection: what opens under its row.

import { element, setText } from './dom.js';
import { showTime } from './clock.js';
import { count, difficulty, hashrate, percent, plain } from './format.js';
import { want } from './wish.js';

const rates = (row) => ['1m', '10m', '1h', '24h'].map((over) => `${hashrate(row[`hashrate_${over}`])} (${over})`).join(' · ');

function shares(row) {
  const reasons = Object.entries(row.shares_rejected_by_reason).map(([reason, number]) => `${count(number)} ${plain(reason)}`);
  const lately = row.rejected_ratio_1h === null ? [] : [`${percent(row.rejected_ratio_1h)} of the last hour's`];
  const why = [...reasons, ...lately].join(', ');
  return `${count(row.shares_accepted)} accepted, ${count(row.shares_rejected)} refused${why && `: ${why}`}`;
}

/** Facts in words; one whose words are empty is left out. */
const FACTS = [
  ['Hashrate', rates],
  ['Shares', shares],
  ['Difficulty', (row) => difficulty(row.difficulty)],
  ['Says of itself', (row) => row.client ?? ''],
  ['Known as', (row) => row.firmware ?? ''],
  ['Address', (row) => row.address ?? row.addresses.join(', ')],
  ['Listener', (row) => row.listener ?? ''],
  ['Connections', (row) => ('connections' in row ? `${count(row.connections)} now, ${count(row.connections_ended)} ended` : '')],
  ['Left because', (row) => (row.left_reason ? plain(row.left_reason) : '')],
];
const TIMES = [['First work', 'since'], ['Connected', 'connected'], ['Last share', 'last_share'], ['Left', 'left']];

/** Makes the detail of a row. */
export function makeDetail(first) {
  const list = element('dl');
  const facts = FACTS.map(([name, words]) => {
    const value = element('dd');
    const node = element('div', {}, element('dt', {}, name), value);
    return { node, update: (row) => show(node, value, words(row)) };
  });
  const times = TIMES.map(([name, key]) => {
    const time = element('time');
    const node = element('div', {}, element('dt', {}, name), element('dd', {}, time));
    return { node, update: (row) => ((node.hidden = !row[key]), showTime(time, row[key])) };
  });
  list.append(...[...facts, ...times].map(({ node }) => node));
  const node = element('div', { class: 'detail' }, list);
  if ('connections' in first) {
    const go = () => want({ view: 'miners', search: first.worker, problem: '', sort: 'problems', order: '' });
    node.append(element('button', { type: 'button', onclick: go }, 'Show its connections'));
  }
  return { node, update: (row) => [...facts, ...times].forEach((fact) => fact.update(row)) };
}

function show(node, value, words) {
  node.hidden = words === '';
  setText(value, words);
}
