// Workers or connections as a table that the proxy searches, sorts and cuts into pages: of ten thousand rows this page
// never holds more than one of its own.

import { byId, choices, element, keep, setText } from './dom.js';
import { count, counted, plain } from './format.js';
import { VIEWS, usualOrder } from './columns.js';
import { makeDetail } from './detail.js';
import { Refused, ask } from './proxy.js';
import { worstFirst } from './verdict.js';
import { onWish, pageOf, want, wish } from './wish.js';

/** Rows of a page. */
const ROWS = 25;
/** Time without a key stroke after which is searched, in ms. */
const TYPED = 250;

/** Rows that are open, by their key. */
const open = new Set();
/** The answer that is shown: to open a row nothing has to be asked. */
let shown = null;
/** The columns that the head shows, and for which order. */
let head = '';

const viewOf = () => VIEWS[wish.view] ?? VIEWS.workers;
const pathOf = () => (viewOf() === VIEWS.miners ? 'miners' : 'workers');
const sortOf = () => viewOf().columns.find(({ sort }) => sort === wish.sort) ?? viewOf().columns.find(({ sort }) => sort === 'problems');
const orderOf = () => (['asc', 'desc'].includes(wish.order) ? wish.order : usualOrder(sortOf()));

/** Asks for the page that is wanted and shows it. Gives the workers' `{total, problems}`, which the headline needs. */
export async function refreshList() {
  const [view, page] = [viewOf(), pageOf(wish)];
  const wanted = { search: wish.search, problem: wish.problem, sort: sortOf().sort, order: orderOf(), limit: ROWS, offset: (page - 1) * ROWS };
  try {
    const answer = await ask(pathOf(), wanted);
    // What was wanted meanwhile comes with the next answer.
    if (view === viewOf()) show(answer, page);
    return view === VIEWS.workers ? answer : await ask('workers', { limit: 1 });
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 400) throw error;
    // An address that somebody made up: say what is wrong with it, and let the rest of the page live.
    tellTrouble(error.message);
    return ask('workers', { limit: 1 });
  }
}

function show(answer, page) {
  shown = answer;
  const view = viewOf();
  const last = Math.max(1, Math.ceil(answer.matching / ROWS));
  // Rows may have gone since the page was turned.
  if (page > last) want({ page: String(last) });
  tellTrouble('');
  showHead();
  const rows = answer[pathOf()];
  for (const key of open) if (!rows.some((row) => view.key(row) === key)) open.delete(key);
  keep(byId('rows'), rows.flatMap(withDetail), ({ key }) => key, makeRow);
  byId('list-empty').hidden = rows.length > 0;
  setText(byId('list-empty'), answer.total === 0 ? `No ${view.one} yet.` : `No ${view.one} fits.`);
  showPaging(answer, page, last);
  showProblems(answer);
}

/** An open row has a second one under it. */
function withDetail(row) {
  const view = viewOf();
  const key = view.key(row);
  const item = { key: `${view.one} ${key}`, view, row };
  return open.has(key) ? [item, { ...item, key: `detail of ${item.key}`, detail: true }] : [item];
}

function makeRow({ view, row, detail }) {
  if (detail) {
    const made = makeDetail(row);
    const cell = element('td', { role: 'cell', colspan: view.columns.length }, made.node);
    return { node: element('tr', { role: 'row', class: 'more' }, cell), update: (item) => made.update(item.row) };
  }
  const key = view.key(row);
  const opener = element('button', { type: 'button', class: 'opener', 'aria-expanded': 'false', onclick: () => toggle(key) });
  const cells = view.columns.map((its) => (its.cell ? its.cell() : { node: opener, update: (now) => setText(opener, view.name(now)) }));
  const node = element('tr', { role: 'row' }, ...cells.map((cell, index) => makeCell(view.columns[index], cell.node)));
  const update = (item) => {
    opener.setAttribute('aria-expanded', String(open.has(key)));
    node.classList.toggle('trouble', item.row.problem !== null);
    cells.forEach((cell) => cell.update(item.row));
  };
  return { node, update };
}

/** On a phone a row becomes a card, and each cell says what it is. */
function makeCell({ words, sort, text, wide }, content) {
  const role = sort === 'worker' ? 'rowheader' : 'cell';
  const kind = [text ? 'text' : 'number', wide && 'wide', sort].filter(Boolean).join(' ');
  return element(sort === 'worker' ? 'th' : 'td', { role, class: kind, 'data-label': words, ...(sort === 'worker' ? { scope: 'row' } : {}) }, content);
}

function toggle(key) {
  if (!open.delete(key)) open.add(key);
  show(shown, pageOf(wish));
}

function showHead() {
  const now = `${wish.view} ${sortOf().sort} ${orderOf()}`;
  if (now === head) return;
  head = now;
  keep(byId('columns'), viewOf().columns, ({ sort }) => `${wish.view} ${sort}`, makeHeading);
  const sorts = viewOf().columns.map(({ words, sort }) => element('option', { value: sort, selected: sort === sortOf().sort }, words));
  byId('sort').replaceChildren(...sorts);
  setText(byId('order'), orderOf() === 'asc' ? 'Ascending' : 'Descending');
}

function makeHeading(its) {
  const arrow = element('span', { class: 'arrow', 'aria-hidden': 'true' });
  const button = element('button', { type: 'button', onclick: () => sortBy(its.sort) }, its.words, arrow);
  const kind = [its.text ? 'text' : 'number', its.wide && 'wide'].filter(Boolean).join(' ');
  const node = element('th', { role: 'columnheader', scope: 'col', class: kind }, button);
  const update = () => {
    const chosen = its.sort === sortOf().sort;
    const ascending = orderOf() === 'asc';
    node.setAttribute('aria-sort', chosen ? (ascending ? 'ascending' : 'descending') : 'none');
    setText(arrow, chosen ? (ascending ? '▲' : '▼') : '');
  };
  return { node, update };
}

/** Sorts by a column; a second time the other way round. */
function sortBy(sort) {
  const again = sort === sortOf().sort;
  want({ sort, order: again ? turned() : '' });
}

const turned = () => (orderOf() === 'asc' ? 'desc' : 'asc');

function showPaging({ matching, total }, page, last) {
  const first = Math.min((page - 1) * ROWS + 1, matching);
  const range = `${count(first)}–${count(Math.min(page * ROWS, matching))} of ${count(matching)}`;
  const of = matching === total ? '' : `, ${count(total)} in all`;
  setText(byId('place'), matching === 0 ? `none of ${count(total)}` : range + of);
  // Not disabled, which would drop the focus of whoever turns pages by keyboard.
  byId('previous').setAttribute('aria-disabled', String(page <= 1));
  byId('next').setAttribute('aria-disabled', String(page >= last));
  byId('next').dataset.last = last;
}

function turn(by) {
  const page = pageOf(wish) + by;
  if (page >= 1 && page <= Number(byId('next').dataset.last ?? 1)) want({ page: String(page) });
}

function showProblems({ problems, total }) {
  const troubled = Object.values(problems).reduce((sum, number) => sum + number, 0);
  const options = [
    { value: '', words: 'All', count: count(total) },
    { value: 'any', words: 'With a problem', count: count(troubled) },
    ...worstFirst(problems).map(([value, number]) => ({ value, words: plain(value), count: count(number) })),
  ];
  // What is chosen stays to be seen when the last of its kind is well again.
  if (wish.problem && !options.some(({ value }) => value === wish.problem)) options.push({ value: wish.problem, words: plain(wish.problem), count: '0' });
  const marked = options.map((option) => ({ ...option, chosen: option.value === wish.problem }));
  choices(byId('problems'), marked, (value) => want({ problem: value }));
}

function tellTrouble(words) {
  byId('list-trouble').hidden = words === '';
  setText(byId('list-trouble'), words);
}

/** Shows what is wanted in the fields. */
function showWish() {
  const options = Object.entries(VIEWS).map(([value, { words }]) => ({ value, words, chosen: VIEWS[value] === viewOf() }));
  choices(byId('views'), options, (value) => want({ view: value }));
  setText(byId('list-title'), viewOf().words);
  if (document.activeElement !== byId('search')) byId('search').value = wish.search;
}

let changed = () => {};

/** Lets whoever refreshes know that another page is wanted. */
export function onListWish(listener) {
  changed = listener;
}

let typing;
byId('search').addEventListener('input', ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => want({ search: target.value.trim() }), TYPED);
});
byId('sort').addEventListener('change', ({ target }) => want({ sort: target.value, order: '' }));
byId('order').addEventListener('click', () => want({ order: turned() }));
byId('previous').addEventListener('click', () => turn(-1));
byId('next').addEventListener('click', () => turn(1));
onWish(() => {
  showWish();
  changed();
});
showWish();
