// What happened, the newest first, each with its severity in shape and word.

import { byId, choices, element, keep, shape } from './dom.js';
import { showTime } from './clock.js';
import { ask } from './proxy.js';
import { onWish, want, wish } from './wish.js';

/** Events that are shown. */
const SHOWN = 100;
const LEVELS = { error: 'bad', warning: 'warn', info: 'idle' };
const SEVERITIES = [['info', 'All'], ['warning', 'Warnings'], ['error', 'Errors']];

let events = [];
let severity = null;

/** Asks for what came since. Numbers go on over restarts, so nothing is asked for twice. */
export async function refreshEvents() {
  const wanted = severityOf(wish);
  const after = wanted === severity ? (events[0]?.number ?? 0) : 0;
  const answer = await ask('events', { after, severity: wanted, limit: SHOWN });
  events = [...answer.events, ...(after ? events : [])].slice(0, SHOWN);
  severity = wanted;
  showEvents();
}

const severityOf = (wanted) => (wanted.severity in LEVELS ? wanted.severity : 'info');

function showEvents() {
  keep(byId('events'), events.length ? events : [null], (event) => event?.number ?? 'none', makeEvent);
}

function makeEvent(event) {
  const nothing = () => {};
  if (event === null) return { node: element('li', {}, 'Nothing yet.'), update: nothing };
  const time = element('time');
  showTime(time, event.time);
  // A solved block is told as an error so that nobody misses it; it is none.
  const solved = event.kind === 'block-found';
  const level = solved ? 'ok' : LEVELS[event.severity];
  const word = element('span', { class: 'word' }, shape(level), solved ? 'block' : event.severity);
  const node = element('li', { 'data-level': level }, time, word, element('span', { class: 'what' }, event.text));
  return { node, update: nothing };
}

function showChoices() {
  const chosen = severityOf(wish);
  const options = SEVERITIES.map(([value, words]) => ({ value, words, chosen: value === chosen }));
  choices(byId('severities'), options, (value) => want({ severity: value }));
}

onWish(showChoices);
showChoices();
