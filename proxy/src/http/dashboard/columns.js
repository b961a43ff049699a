// The columns of the two lists: what stands in each, and what the API calls its order.

import { element, setNumber, setShape, setText, shape } from './dom.js';
import { showTime } from './clock.js';
import { count, difficulty, hashrate, percent, plain } from './format.js';
import { inWords } from './verdict.js';

/** Problems that need somebody today; the others may mend themselves. */
const GRAVE = ['offline', 'silent', 'paused', 'rejected'];

/** Makes a column: what heads it, the word of the API that sorts by it, and how a cell shows a row. */
const column = (words, sort, cell, { text = false, wide = false } = {}) => ({ words, sort, cell, text, wide });

const number = (name, words) => () => {
  const shown = element('data');
  return { node: shown, update: (row) => setNumber(shown, row[name], words) };
};

const time = (name) => () => {
  const shown = element('time');
  return { node: shown, update: (row) => showTime(shown, row[name]) };
};

function problem() {
  const mark = shape('ok');
  const words = element('span');
  const node = element('span', { class: 'badge' }, mark, words);
  const update = ({ problem: its }) => {
    const level = its === null ? 'ok' : GRAVE.includes(its) ? 'bad' : 'warn';
    node.dataset.level = level;
    setShape(mark, level);
    setText(words, its === null ? 'well' : plain(its));
    node.title = its === null ? '' : inWords(its);
  };
  return { node, update };
}

/** What it says of itself; the tooltip has it in full. */
function client() {
  const node = element('span', { class: 'cut' });
  const update = (row) => {
    setText(node, row.firmware ?? row.client ?? '–');
    node.title = row.client ?? '';
  };
  return { node, update };
}

function refused() {
  const all = element('data');
  const lately = element('span', { class: 'small', title: 'of the last hour' });
  const update = ({ shares_rejected, rejected_ratio_1h: part }) => {
    setNumber(all, shares_rejected, count);
    setText(lately, part > 0 ? ` ${percent(part)}` : '');
  };
  return { node: element('span', {}, all, lately), update };
}

function address() {
  const node = element('span', { class: 'cut' });
  return { node, update: (row) => setText(node, row.address) };
}

const TEXT = { text: true };
const WIDE = { wide: true };
const PROBLEM = column('State', 'problems', problem, TEXT);
const RATE = column('Hashrate, 10 min', 'hashrate_10m', number('hashrate_10m', hashrate));
const DAY = column('24 h', 'hashrate_24h', number('hashrate_24h', hashrate));
const ACCEPTED = column('Accepted', 'accepted', number('shares_accepted', count));
const REFUSED = column('Refused', 'rejected', refused);
const LAST = column('Last share', 'last_share', time('last_share'));
const CLIENT = column('Firmware', 'client', client, TEXT);
/** Its cell is the button that opens a row, which the list makes. */
const WORKER = column('Worker', 'worker', null, TEXT);

/** What can be listed: the path of the API, what tells a row from the others, and the columns. */
export const VIEWS = {
  workers: {
    words: 'Workers',
    one: 'worker',
    key: (row) => row.worker,
    name: (row) => row.worker,
    columns: [WORKER, PROBLEM, RATE, DAY, ACCEPTED, REFUSED, LAST,
      column('Connections', 'connections', number('connections', count), WIDE), CLIENT],
  },
  miners: {
    words: 'Connections',
    one: 'connection',
    key: (row) => row.id,
    name: (row) => row.worker ?? 'not authorized',
    columns: [WORKER, PROBLEM, column('Address', 'address', address, TEXT), RATE, DAY,
      column('Difficulty', 'difficulty', number('difficulty', difficulty), WIDE), ACCEPTED, REFUSED, LAST,
      column('Connected', 'connected', time('connected'), WIDE), CLIENT],
  },
};

/** Texts are read from A to Z, numbers from the greatest, problems from the worst. */
export const usualOrder = (its) => (its.text && its.sort !== 'problems' ? 'asc' : 'desc');
