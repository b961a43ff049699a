// Nodes of the page. Every text goes in as text, never as markup: workers' names and firmware are what strangers sent.

export const byId = (id) => document.getElementById(id);

/** Makes an element. Properties are attributes; `on…` ones are listeners. Children are nodes or texts. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, '');
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Sets a node's text where it is another: what stays as it was is not drawn anew, and can be selected. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows a number in words, and keeps it as it came in the `value` of a <data>. */
export function setNumber(node, value, words) {
  node.setAttribute('value', value);
  setText(node, words(value));
}

/** Points at one of the shapes of index.html. */
export function shape(level) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'level');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(document.createElementNS('http://www.w3.org/2000/svg', 'use'));
  setShape(svg, level);
  return svg;
}

export function setShape(svg, level) {
  svg.firstElementChild.setAttribute('href', `#level-${level}`);
}

const kept = new WeakMap();

/**
 * Makes a parent's children those of `items`. A node that an item had before is kept and updated, so that the focus, a
 * selection and an opened row survive a refresh.
 */
export function keep(parent, items, keyOf, make) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    after.set(key, before.get(key) ?? make(item));
  }
  for (const [key, row] of before) if (!after.has(key)) row.node.remove();
  const focused = document.activeElement;
  let place = parent.firstElementChild;
  for (const item of items) {
    const row = after.get(keyOf(item));
    row.update(item);
    if (row.node === place) place = place.nextElementSibling;
    else parent.insertBefore(row.node, place);
  }
  // A node that is moved loses the focus.
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
  kept.set(parent, after);
}

/** Makes a group of buttons of which one is pressed. `choose` is told the value of the one that is clicked. */
export function choices(parent, options, choose) {
  const make = ({ value }) => {
    const words = element('span');
    const count = element('span', { class: 'count' });
    const node = element('button', { type: 'button', 'data-value': value, onclick: () => choose(value) }, words, count);
    const update = (option) => {
      setText(words, option.words);
      setText(count, option.count == null ? '' : ` ${option.count}`);
      node.setAttribute('aria-pressed', String(option.chosen));
    };
    return { node, update };
  };
  keep(parent, options, (option) => option.value, make);
}
