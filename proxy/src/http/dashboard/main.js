// Asks the proxy every two seconds, one request after the other, and shows what it says.
//
//   proxy.js ─► verdict.js (what that means) ─► banner.js
//           └─► overview.js, plot.js, upstreams.js, list.js, events.js
//
// What is wanted (search, order, page) is in wish.js; a change of it asks at once.

import { showTrouble, showVerdict, tickBanner } from './banner.js';
import { setProxyTime, tick } from './clock.js';
import { refreshEvents } from './events.js';
import { onListWish, refreshList } from './list.js';
import { showOverview } from './overview.js';
import { refreshPlot } from './plot.js';
import { Unanswered, ask } from './proxy.js';
import { showUpstreams } from './upstreams.js';
import { judge } from './verdict.js';

/** Pause between two refreshes, in ms. */
const PAUSE = 2_000;
/** The list is asked for so seldom that making it takes the proxy one part in this many of the time. */
const SPARING = 100;
/** But never seldomer than this, in ms: an answer that was slow once says little. */
const LIST_LATEST = 10_000;

/** What the list said last, and until when that will do. */
let workers = { total: 0, problems: {} };
let listDue = 0;

async function refresh() {
  const status = await ask('status');
  setProxyTime(status.time);
  const { upstreams } = await ask('upstreams');
  if (performance.now() >= listDue) {
    const asked = performance.now();
    workers = await refreshList();
    const took = performance.now() - asked;
    listDue = asked + Math.min(took * SPARING, LIST_LATEST);
  }
  showOverview(status);
  showUpstreams(upstreams);
  showVerdict(status, judge(status, upstreams, workers));
  await refreshPlot();
  await refreshEvents();
}

let timer;
let busy = false;
let again = false;

/** Refreshes, and again after a pause, for as long as somebody looks. */
async function turn() {
  clearTimeout(timer);
  if (busy || document.hidden) {
    // Whoever wants something else meanwhile gets it right after.
    again = busy;
    return;
  }
  busy = true;
  again = false;
  try {
    await refresh();
  } catch (error) {
    showTrouble(error);
    if (!(error instanceof Unanswered)) console.error(error);
  }
  busy = false;
  if (!document.hidden) timer = setTimeout(turn, again ? 0 : PAUSE);
}

function listAtOnce() {
  listDue = 0;
  turn();
}

onListWish(listAtOnce);
document.addEventListener('visibilitychange', turn);
addEventListener('online', turn);
setInterval(() => {
  if (document.hidden) return;
  tick();
  tickBanner();
}, 1_000);
turn();
