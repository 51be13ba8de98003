// One test, with all there is of it.

function testView(test, data, neighbours) {
  const place = byId('test');
  const trends = (test.figures || []).filter((one) => one.trend && one.trend.length > 3);
  place.replaceChildren(...[
    crumbs(neighbours), title(test), told('How it ended', test.died), told('Out of GPU memory', test.out_of_memory), told('Not measured', test.unmeasured),
    (test.figures || []).length ? section('Figures', html('div', { class: 'card' }, html('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Table of figures' }, figureTable(test)))) : null,
    (test.held || []).length ? section('What held the memory', ...test.held.map(heldCard)) : null,
    (test.measured || []).length ? section('Functions that it had measured', html('div', { class: 'card' }, html('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Table of measured functions' }, measuredTable(test)))) : null,
    trends.length ? trendSection(test, trends, data.runs) : null,
    test.timeline ? timelineSection(test.timeline) : null,
    (test.phases || []).length ? section('Phases', html('div', { class: 'card' }, html('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Table of phases' }, phaseTable(test)))) : null,
    (test.sections || []).length ? section('Sections', html('div', { class: 'card' }, html('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Table of sections' }, sectionTable(test)))) : null,
    (test.checkpoints || []).length ? section('Held at checkpoints', html('div', { class: 'card' }, html('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Table of checkpoints' }, checkpointTable(test)))) : null,
  ].filter(Boolean));
}

function missingView(id) {
  byId('test').replaceChildren(crumbs([]), html('section', { class: 'verdict undecided' }, symbol('undecided'), html('div', {},
    html('p', { class: 'word' }, 'No such test'), html('h1', { id: 'test-title' }, 'This run has no test of that name'),
    html('p', { class: 'aside' }, visible(cut(id, LONGEST_NAME))))));
}

/** Text of an address, with what acts or hides in it made visible. */
function visible(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

function crumbs([before, after]) {
  const link = (test, text) => (test ? html('a', { href: `#test=${linked(test.id)}`, 'aria-label': `${text} test: ${cut(test.shown || test.id, LONGEST_NAME)}` }, text) : null);
  return html('nav', { class: 'crumbs', 'aria-label': 'Tests' },
    html('span', { class: 'back' }, html('a', { href: '#', 'data-home': true }, '← All tests', html('kbd', { 'aria-hidden': 'true' }, 'Esc'))), link(before, 'Previous'), link(after, 'Next'));
}

function title(test) {
  return html('header', { class: 'card title' }, kindOf(test), html('h1', { id: 'test-title', tabindex: '-1' }, nameOf(test, Infinity, test.where)),
    html('dl', { class: 'facts' }, (test.facts || []).map(([name, text]) => html('div', {}, html('dt', {}, name), html('dd', {}, text))),
      test.seconds === undefined ? null : html('div', {}, html('dt', {}, 'Took'), html('dd', {}, seconds(test.seconds)))),
    (test.findings || []).length ? html('ul', { class: 'findings-of', 'aria-label': 'What there is to know' }, test.findings.map((one) => html('li', {}, symbol(one.weight), html('span', {}, html('b', { class: one.weight }, one.kind), `: ${one.text}`)))) : null,
    (test.notes || []).length ? html('ul', { class: 'notices', 'aria-label': 'Notes' }, test.notes.map((note) => html('li', {}, note))) : null);
}

function section(name, ...content) {
  const id = `of-test-${name.toLowerCase().replaceAll(' ', '-')}`;
  return html('section', { 'aria-labelledby': id }, html('h2', { id }, name), content);
}

function told(name, text) {
  return text ? section(name, html('pre', { class: 'card told', tabindex: '0' }, text)) : null;
}

/** Each holder with a bar for its share of the peak. */
function heldCard(held) {
  const row = (one) => html('tr', {},
    html('th', { scope: 'row' }, one.place, one.detail ? html('small', {}, one.detail) : null),
    cell('Held', 'number', [html('span', { class: 'share' }, meter(one.share / 1000), html('span', {}, one.size))]),
    cell('Since then', '', [one.new ? html('span', { class: 'up' }, one.new) : null]));
  return html('div', { class: 'card' }, html('p', { class: 'said' }, held.said),
    (held.holders || []).length ? html('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Table of what held the memory' },
      html('table', { class: 'figures', 'aria-label': 'What held the memory' },
        html('thead', {}, html('tr', {}, html('th', { scope: 'col' }, 'Where'), html('th', { scope: 'col', class: 'number' }, 'Held'), html('th', { scope: 'col' }, 'Since then'))),
        html('tbody', {}, held.holders.map(row)))) : null,
    (held.notes || []).map((note) => html('p', { class: 'said' }, note)),
    held.picture ? html('img', { class: 'flame', src: held.picture, alt: 'Flame graph: who called whom, as wide as what was held. The largest are in the table above.' }) : null,
    held.flame ? html('p', { class: 'said' }, `The flame graph, with sizes under the pointer, is beside the run file: ${held.flame}`) : null);
}

/** The trend of the figure that is nearest to its limit, and of any other that is asked for. */
function trendSection(test, trends, runs) {
  const card = html('div', { class: 'card chart-card' });
  const show = (one) => {
    const label = one.figure + (one.gpu ? ` on ${one.gpu}` : '');
    const values = unpacked(one.trend);
    const chart = html('div', { class: 'chart', role: 'img', 'aria-label': `${label} over ${trendInWords(values)}${has(one, 'limit_bytes') ? `, limit ${size(one.limit_bytes)}` : ''}. The values are in the table below.` });
    const tabs = html('div', { class: 'tabs', role: 'group', 'aria-label': 'Figure' }, trends.map((other) => html('button', {
      type: 'button', class: 'tab', 'aria-pressed': String(other === one), onclick: () => { show(other); card.querySelector('[aria-pressed="true"]').focus(); },
    }, other.figure + (other.gpu ? ` on ${other.gpu}` : ''))));
    card.replaceChildren(html('div', { class: 'chart-head' }, tabs, html('p', {}, limitInWords(one, values))),
      html('div', { class: 'with-steps' }, chart, stepList(one)), folded(`${label} in each run`, ['Began (UTC)', 'Commit', 'Branch', label], trendValues(one, runs)));
    redraw.trend = () => drawTrend(chart, one, runs);
    afterPaint(redraw.trend);
  };
  show(trends.find((one) => one === (test.figures || [])[test.nearest]) || trends[0]);
  return section('Over earlier runs', card);
}

function limitInWords(one, values) {
  if (!has(one, 'limit_bytes')) return `${count(values.length, 'run')}, no limit`;
  const away = one.limit_bytes > Math.max(...values) * 1.5 ? ', far above what is drawn' : '';
  return `${count(values.length, 'run')}, limit ${size(one.limit_bytes)}${away}`;
}

function timelineSection(timeline) {
  const lines = linesOf(timeline);
  const most = lines.map((line) => `${line.name} up to ${size(Math.max(0, ...line.values.filter((value) => value !== null)))}`).join('; ');
  const chart = html('div', { class: 'chart', role: 'img', 'aria-label': `Memory over time: ${most}. The values are in the table below.` });
  const heads = ['Seconds', ...lines.map((line) => line.name), 'Moment'];
  redraw.timeline = () => drawTimeline(chart, timeline);
  afterPaint(redraw.timeline);
  return section('While it ran', html('div', { class: 'card chart-card' }, chart, folded('Memory at each point', heads, timelineValues(timeline))));
}

const redraw = { trend: null, timeline: null };
themeListeners.push(() => Object.values(redraw).forEach((one) => one && one()));
