// What the operator wants to see: kept behind the # of the address, so that it survives a reload and can be sent to
// a colleague.

const USUAL = { view: 'workers', search: '', problem: '', sort: 'problems', order: '', page: '1', range: '', severity: 'info' };

const told = [];

/** What is wanted now; every value is a text. */
export let wish = read();

/** Calls back with the names that changed, whoever changed them. */
export function onWish(listener) {
  told.push(listener);
}

/** Changes what is wanted. Whatever changes the list begins at its first page. */
export function want(changes) {
  const again = 'page' in changes || !['view', 'search', 'problem', 'sort', 'order'].some((name) => name in changes);
  become({ ...wish, ...(again ? {} : { page: '1' }), ...changes });
  const words = Object.entries(wish).filter(([name, value]) => value !== USUAL[name]);
  const hash = new URLSearchParams(words).toString();
  // Not a new place in the history for each letter that is typed.
  history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
}

export const pageOf = ({ page }) => Math.max(1, Math.min(1_000_000, Math.floor(Number(page)) || 1));

function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  const known = Object.keys(USUAL).filter((name) => given.has(name));
  return { ...USUAL, ...Object.fromEntries(known.map((name) => [name, given.get(name)])) };
}

function become(next) {
  const changed = Object.keys(USUAL).filter((name) => wish[name] !== next[name]);
  wish = next;
  if (changed.length) told.forEach((listener) => listener(changed));
}

addEventListener('hashchange', () => {
  // The link that skips to the list is no wish.
  if (location.hash !== '#view') become(read());
});
