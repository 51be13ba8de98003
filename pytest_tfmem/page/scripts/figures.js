// Of one test: its figures in a table, its phases, and the values of each chart, for those who do not see it.

const STANDINGS = { ok: 'kept', over: 'over', warn: 'over, warns', xfail: 'over, as expected', waived: 'over, waived', near: 'near', 'not measured': 'not measured' };

function figureTable(test) {
  const heads = ['Figure', 'Reading', 'Limit', 'Of limit', 'Verdict', 'Before', 'How it was measured'];
  return html('table', { class: 'figures', 'aria-label': 'Figures' },
    html('thead', {}, html('tr', {}, heads.map((head, at) => html('th', { scope: 'col', class: at && at < 4 ? 'number' : null }, head)))),
    html('tbody', {}, (test.figures || []).map(figureRow)));
}

function figureRow(one) {
  const read = has(one, 'bytes');
  return html('tr', {},
    html('th', { scope: 'row' }, one.figure, one.gpu ? html('small', {}, one.gpu) : null),
    cell('Reading', 'number', read ? [html('b', {}, size(one.bytes)), html('small', {}, `${one.bytes.toLocaleString('en-US')} B`)] : [html('span', { class: 'none' }, 'not measured')]),
    cell('Limit', 'number', has(one, 'limit_bytes') ? [html('span', {}, size(one.limit_bytes))] : []),
    cell('Of limit', 'number', [shareCell({ one })]),
    cell('Verdict', 'held', [verdictOf(one), (one.limit_notes || []).map((note) => html('small', {}, note)), one.gate ? html('small', {}, `gate: ${one.gate}`) : null]),
    cell('Before', 'held', [beforeOf(one), (one.change_notes || []).map((note) => html('small', {}, note))]),
    cell('Measured', 'wide', [html('span', {}, read ? one.how : one.reason)]));
}

/** A cell that says, where there is no head to its column, what it is; of nothing a dash. */
function cell(head, kind, content) {
  const found = content.flat().filter(Boolean);
  return html('td', { 'data-head': head, class: `${kind}${found.length ? '' : ' blank'}` }, found.length ? found : none());
}

function beforeOf(one) {
  if (!has(one, 'before_bytes')) return one.changed ? html('span', {}, one.changed) : null;
  return html('span', {}, size(one.before_bytes), one.change ? `, now ${one.change}` : '');
}

function verdictOf(one) {
  const tone = TONES[one.standing];
  const changed = { regressed: 'fails', suspect: 'warns', improved: 'fine' }[one.changed];
  const words = [
    one.standing ? html('span', { class: `kind ${tone || 'warns'}` }, STANDINGS[one.standing] || one.standing) : null,
    changed ? html('span', { class: `kind ${changed}` }, one.changed) : null,
  ].filter(Boolean);
  return words.length ? html('span', {}, words.flatMap((word, at) => (at ? [', ', word] : [word]))) : null;
}

function none() {
  return html('span', { class: 'none' }, html('span', { 'aria-hidden': 'true' }, '–'), html('span', { class: 'sr' }, 'none'));
}

function phaseTable(test) {
  const heads = ['Phase', 'Seconds', 'Peak resident', 'Growth', 'Anonymous'];
  const sized = (head, value) => cell(head, 'number', value === undefined ? [] : [html('span', {}, size(value))]);
  return html('table', { class: 'figures', 'aria-label': 'Phases' },
    html('thead', {}, html('tr', {}, heads.map((head, at) => html('th', { scope: 'col', class: at ? 'number' : null }, head)))),
    html('tbody', {}, test.phases.map((phase) => html('tr', {},
      html('th', { scope: 'row' }, phase.name), cell('Seconds', 'number', phase.seconds === undefined ? [] : [html('span', {}, phase.seconds.toFixed(2))]),
      sized('Peak resident', phase.rss_bytes), sized('Growth', phase.rss_growth_bytes), sized('Anonymous', phase.rss_anon_bytes)))));
}

function sectionTable(test) {
  const figures = [...new Set(test.sections.flatMap((one) => Object.keys(one.bytes)))];
  const heads = ['Section', 'Phase', 'Times', 'Seconds', ...figures];
  return html('table', { class: 'figures', 'aria-label': 'Sections' },
    html('thead', {}, html('tr', {}, heads.map((head, at) => html('th', { scope: 'col', class: at > 1 ? 'number' : null }, head)))),
    html('tbody', {}, test.sections.map((one) => html('tr', {},
      html('th', { scope: 'row' }, `${'\u2003'.repeat(one.depth || 0)}${one.name}${one.open_at_death ? ' (open when the process died)' : ''}`), cell('Phase', 'text', [html('span', {}, one.phase)]),
      cell('Times', 'number', [html('span', {}, String(one.entered))]), cell('Seconds', 'number', one.seconds === undefined ? [] : [html('span', {}, one.seconds.toFixed(2))]),
      figures.map((figure) => cell(figure, 'number', one.bytes[figure] === undefined ? [] : [html('span', {}, size(one.bytes[figure]))]))))));
}

/** What was held when the test came to each of its checkpoints. */
function checkpointTable(test) {
  const figures = [...new Set(test.checkpoints.flatMap((one) => Object.keys(one.bytes)))];
  return html('table', { class: 'figures', 'aria-label': 'Checkpoints' },
    html('thead', {}, html('tr', {}, ['Checkpoint', 'At, seconds', ...figures].map((head, at) => html('th', { scope: 'col', class: at ? 'number' : null }, head)))),
    html('tbody', {}, test.checkpoints.map((one) => html('tr', {},
      html('th', { scope: 'row' }, one.name), cell('At, seconds', 'number', [html('span', {}, one.seconds.toFixed(2))]),
      figures.map((figure) => cell(figure, 'number', one.bytes[figure] === undefined ? [] : [html('span', {}, size(one.bytes[figure]))]))))));
}

/** Of each function that the test had measured the medians, and their ends where they differ. */
function measuredTable(test) {
  const figures = [...new Set(test.measured.flatMap((one) => Object.keys(one.sizes || {})))];
  const heads = ['Function', 'Times', 'Seconds', ...figures];
  return html('table', { class: 'figures', 'aria-label': 'Measured functions' },
    html('thead', {}, html('tr', {}, heads.map((head, at) => html('th', { scope: 'col', class: at ? 'number' : null }, head)))),
    html('tbody', {}, test.measured.map((one) => html('tr', {},
      html('th', { scope: 'row' }, one.name, one.failed ? html('small', { class: 'fails' }, one.failed) : null),
      cell('Times', 'number', [html('span', {}, String(one.times))]),
      cell('Seconds', 'number', one.seconds === undefined ? [] : [html('span', {}, one.seconds.toPrecision(3))]),
      figures.map((figure) => spreadCell(figure, (one.sizes || {})[figure]))))));
}

function spreadCell(figure, spread) {
  if (!spread) return cell(figure, 'number', []);
  const [least, median, most] = spread;
  return cell(figure, 'number', [html('span', {}, size(median)), least === most ? null : html('small', {}, `${size(least)} to ${size(most)}`)]);
}

/** Values behind a chart, made into a table when they are asked for. */
function folded(title, heads, rows) {
  const place = html('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': title });
  const details = html('details', { class: 'more' }, html('summary', {}, title), place);
  details.addEventListener('toggle', () => {
    if (place.firstChild) return;
    place.append(html('table', { class: 'values', 'aria-label': title },
      html('thead', {}, html('tr', {}, heads.map((head) => html('th', { scope: 'col' }, head)))),
      html('tbody', {}, rows().map((row) => html('tr', {}, row.map((cell) => html('td', {}, cell)))))));
  });
  return details;
}

function trendValues(one, runs) {
  return () => {
    const values = unpacked(one.trend);
    return runsOf(one, runs, values.length).map((run, at) => [`${run.at}`, run.commit ? `${run.commit}${run.changed ? ' with changes' : ''}` : '–', run.branch || '–', size(values[at])]).reverse();
  };
}

function timelineValues(timeline) {
  const lines = linesOf(timeline);
  const at = unpacked(timeline.milliseconds);
  const named = (from, to) => (timeline.marks || []).filter((mark) => mark.milliseconds >= from && mark.milliseconds < to).map((mark) => mark.name).join(', ');
  return () => at.map((milliseconds, place) => [(milliseconds / 1000).toFixed(2), ...lines.map((line) => (line.values[place] === null ? '–' : size(line.values[place]))),
    named(place ? milliseconds : 0, place + 1 < at.length ? at[place + 1] : Infinity)]);
}

function stepList(one) {
  const steps = one.steps || [];
  return html('div', { class: 'steps' }, html('h3', {}, steps.length ? 'Where it went to another level' : one.steps_sought ? 'No step was found' : 'Steps were not looked for'),
    steps.length ? html('ol', {}, steps.map((step) => html('li', {}, html('b', {}, step.change), `, at ${step.at} UTC: ${size(step.before_bytes)} → ${size(step.after_bytes)}`,
      (step.said || []).map((line) => html('div', { class: 'said' }, line))))) : html('p', { class: 'said' }, one.steps_sought ? 'It stayed at one level in these runs, as far as noise lets one tell.' : 'They are, in the figures that the gate goes by.'));
}
