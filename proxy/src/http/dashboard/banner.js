// The top of the page: one state of the farm, or that the proxy is lost, in words, colour and shape.

import { byId, element, keep, setShape, setText, shape } from './dom.js';
import { proxyNow, shortTime, timeOfDay } from './clock.js';
import { span } from './format.js';
import { Denied, Lost, Refused } from './proxy.js';

/** When the answers came that the page shows, and since when none come; by the browser's clock. */
let answered = null;
let lostAt = null;
/** The version whose page this is. */
let version = null;

/** Shows what was found. */
export function showVerdict(status, verdict) {
  answered = Date.now();
  lostAt = null;
  document.body.classList.remove('old');
  const more = verdict.since ? ` — since ${shortTime(verdict.since)}` : '';
  show(verdict.level, verdict.words, more, verdict.findings);
  noteVersion(status);
  setText(byId('version'), `v${status.version}`);
  setText(byId('uptime'), `up ${span((proxyNow() - Date.parse(status.started)) / 1000)}`);
  setText(byId('as-of'), timeOfDay(answered));
}

/** Shows that no answer came. */
export function showTrouble(error) {
  lostAt ??= Date.now();
  document.body.classList.add('old');
  if (error instanceof Denied) {
    show('bad', 'The proxy asks for another password', old(), []);
    showNotice(error.message);
  } else if (error instanceof Refused) {
    show('bad', 'The proxy is in trouble', old(), [{ level: 'bad', words: error.message }]);
  } else if (error instanceof Lost) {
    show('bad', 'Lost the proxy', ago() + old(), []);
  } else {
    show('bad', 'This page has made a mistake', old(), []);
    showNotice(error.message);
  }
}

/** Lets the seconds since the proxy was lost go on. */
export function tickBanner() {
  if (lostAt !== null && byId('headline').textContent === 'Lost the proxy') setText(byId('headline-more'), ago() + old());
}

const ago = () => ` ${span((Date.now() - lostAt) / 1000)} ago`;
const old = () => (answered === null ? '' : ` — figures below are from ${timeOfDay(answered)}`);

function show(level, words, more, findings) {
  const state = byId('state');
  state.dataset.level = level;
  setShape(state.querySelector('.level'), level);
  setText(byId('headline'), words);
  setText(byId('headline-more'), more);
  const make = (finding) => {
    const text = element('span');
    const mark = shape(finding.level);
    const node = element('li', {}, mark, text);
    const update = ({ level: its, words: said, since }) => {
      node.dataset.level = its;
      setShape(mark, its);
      setText(text, since ? `${said} — since ${shortTime(since)}` : said);
    };
    return { node, update };
  };
  keep(byId('findings'), findings, (finding) => finding.words, make);
  document.title = `${words} · Millrace`;
}

/** After an upgrade this page may not fit what answers. */
function noteVersion(status) {
  version ??= status.version;
  if (status.version !== version) showNotice(`Millrace was changed from ${version} to ${status.version}.`);
  else byId('notice').hidden = true;
}

function showNotice(text) {
  setText(byId('notice-text'), text);
  byId('notice').hidden = false;
}

byId('reload').addEventListener('click', () => location.reload());
