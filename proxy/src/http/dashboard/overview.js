// The farm in short, and why shares are refused.

import { byId, element, keep, setNumber, setText } from './dom.js';
import { count, counted, hashrate, percent, plain } from './format.js';

/** Shows `/api/v1/status`. */
export function showOverview(status) {
  const { hashrate: rates, miners, shares, upstream_shares: sent } = status;
  for (const span of ['1m', '10m', '1h', '24h']) setNumber(byId(`hashrate-${span}`), rates[span], hashrate);
  setNumber(byId('miners-mining'), miners.mining, count);
  const settingUp = miners.connected - miners.mining;
  setText(byId('miners-more'), settingUp > 0 ? `mining, and ${count(settingUp)} setting up` : 'mining');
  setNumber(byId('shares-accepted'), shares.accepted, count);
  setNumber(byId('shares-rejected'), shares.rejected, count);
  setText(byId('shares-ratio'), ratio(shares));
  setNumber(byId('upstream-acknowledged'), sent.acknowledged, count);
  setNumber(byId('upstream-sent'), sent.sent, count);
  setText(byId('upstream-more'), openShares(sent));
  showReasons(shares);
}

const ratio = ({ rejected_ratio_1h: part }) => (part === null ? '' : ` · ${percent(part)} in the last hour`);

/** Says where the rest is: sent = acknowledged + rejected + pending + unanswered. */
export function openShares({ rejected, pending, unanswered }) {
  const parts = [[pending, 'pending'], [rejected, 'refused'], [unanswered, 'never answered']];
  return parts.filter(([number]) => number > 0).map(([number, words]) => ` · ${count(number)} ${words}`).join('');
}

function showReasons({ submitted, rejected, rejected_by_reason: reasons }) {
  const all = submitted > 0 ? `, ${percent(rejected / submitted)} of all` : '';
  setText(byId('refused-summary'), rejected === 0 ? 'None since the start.' : `${counted(rejected, 'share')} since the start${all}`);
  const rows = Object.entries(reasons).filter(([, number]) => number > 0);
  rows.sort(([, one], [, other]) => other - one);
  const most = rows[0]?.[1];
  const bars = rows.map(([reason, number]) => ({ reason, number, part: number / most }));
  keep(byId('reasons'), bars, ({ reason }) => reason, makeReason);
}

function makeReason({ reason }) {
  const shown = element('data');
  const gauge = element('i', { class: 'gauge' });
  const update = ({ number, part }) => {
    setNumber(shown, number, count);
    gauge.style.setProperty('--part', part);
  };
  return { node: element('li', {}, element('span', {}, plain(reason)), shown, gauge), update };
}
