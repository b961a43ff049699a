// Times: how long ago by the proxy's clock, which the browser's may differ from, and when by the browser's time zone.

import { setText } from './dom.js';
import { span } from './format.js';

const TIME = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const SHORT = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });
const DATE_TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** How far the proxy's clock is ahead of the browser's, in ms. */
let ahead = 0;

/** Takes the time that an answer was written. */
export function setProxyTime(text) {
  ahead = Date.parse(text) - Date.now();
}

/** Gives the proxy's present time, in ms since epoch. */
export const proxyNow = () => Date.now() + ahead;

/** Gives a time of the day as 03:12:05. */
export const timeOfDay = (at) => TIME.format(new Date(at));

/** Gives a time as 03:12, with the date where it is not today. */
export function shortTime(at) {
  const date = new Date(at);
  const today = DAY.format(date) === DAY.format(new Date(proxyNow()));
  return today ? SHORT.format(date) : `${DAY.format(date)}, ${SHORT.format(date)}`;
}

/** Makes a node say how long ago a time was; the tooltip says when. `how` makes the words of a span. */
export function showTime(node, at, how = ago) {
  const text = at ?? '';
  if (node.dateTime !== text) {
    node.dateTime = text;
    node.title = at ? DATE_TIME.format(new Date(at)) : '';
  }
  node.how = how;
  tell(node);
}

const ago = (seconds) => (seconds < 1 ? 'just now' : `${span(seconds)} ago`);

function tell(node) {
  const seconds = (proxyNow() - Date.parse(node.dateTime)) / 1000;
  setText(node, node.dateTime ? node.how(seconds) : '–');
}

/** Lets all ages that are on the page go on. */
export function tick() {
  for (const node of document.querySelectorAll('time')) if (node.how) tell(node);
}
