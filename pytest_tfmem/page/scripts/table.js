// All tests in one table: sorted by a column, filtered by name, verdict, outcome and finding, of one figure or the one that
// matters most.

const WEIGHTS = ['fails', 'undecided', 'warns', 'fine'];
const AT_ONCE = 1000; // rows; what is beyond is shown when it is asked for

function startTable(data) {
  const rows = data.tests.map((test, at) => ({
    at, test, name: test.shown || test.id, searched: (test.shown || test.id).toLowerCase(), link: `#test=${linked(test.id)}`,
  }));
  // As the findings are: by weight, then by what is farthest from where it should be.
  const state = { column: data.figures[0], sort: 'kind', down: false, find: '', weights: new Set(), outcome: '', kind: '', most: AT_ONCE };
  let columns = [];
  let elements = new Map();

  function choose(name) {
    state.column = data.figures.find((one) => one.name === name) || data.figures[0];
    columns = columnsOf(state.column);
    elements = new Map();
    rows.forEach((row) => {
      row.one = figureFor(row.test, state.column.name);
      row.order = WEIGHTS.indexOf(row.test.weight || 'fine') * 1000 - Math.min(999, shareOf(row) || 0);
    });
    if (!columns.some((column) => column.key === state.sort)) state.sort = 'kind';
    heads();
  }

  function heads() {
    const cells = columns.map((column) => html('th', {
      role: 'columnheader', scope: 'col', class: `c-${column.key}${NUMBERS.has(column.key) ? ' number' : ''}`,
      'aria-sort': state.sort === column.key ? (state.down ? 'descending' : 'ascending') : null,
    }, html('button', { type: 'button', 'data-key': column.key, onclick: () => sortBy(column) }, column.head)));
    const focused = document.activeElement && document.activeElement.dataset.key;
    byId('table').tHead.replaceChildren(html('tr', { role: 'row' }, cells));
    if (focused) byId('table').tHead.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  function sortBy(column) {
    state.down = state.sort === column.key ? !state.down : Boolean(column.numeric);
    state.sort = column.key;
    heads();
    draw();
    say(`Sorted by ${column.head}, ${state.down ? 'descending' : 'ascending'}`);
  }

  function draw() {
    const value = columns.find((column) => column.key === state.sort).value;
    const found = rows.filter(isShown).map((row) => [value(row), row]);
    found.sort(([one, a], [other, b]) => compared(one, other, state.down) || a.at - b.at);
    const body = byId('table').tBodies[0];
    body.replaceChildren(...found.slice(0, state.most).map(([, row]) => elementOf(row)));
    byId('shown-count').textContent = found.length === rows.length ? rows.length.toLocaleString('en-US') : `${found.length.toLocaleString('en-US')} of ${rows.length.toLocaleString('en-US')}`;
    byId('empty').hidden = found.length > 0;
    byId('rest').hidden = found.length <= state.most;
    table.order = found.map(([, row]) => row.test);
  }

  function elementOf(row) {
    if (!elements.has(row)) elements.set(row, rowElement(row, columns));
    return elements.get(row);
  }

  function isShown(row) {
    return row.searched.includes(state.find)
      && (!state.weights.size || state.weights.has(row.test.weight || 'fine'))
      && (!state.outcome || row.test.outcome === state.outcome)
      && (!state.kind || (row.test.findings || []).some((one) => one.kind === state.kind));
  }

  function filtered() {
    state.most = AT_ONCE;
    draw();
    say(`${byId('shown-count').textContent} tests`);
  }

  function showWhat() {
    byId('figure-what').textContent = state.column.name ? `${state.column.name}: ${state.column.what}` : '';
    byId('figure-what').hidden = !state.column.what;
  }

  const table = { order: data.tests };
  if (!byId('table')) return table;
  byId('find').addEventListener('input', (event) => { state.find = event.target.value.toLowerCase().trim(); filtered(); });
  byId('outcome').addEventListener('change', (event) => { state.outcome = event.target.value; filtered(); });
  byId('kind')?.addEventListener('change', (event) => { state.kind = event.target.value; filtered(); });
  byId('figure').addEventListener('change', (event) => { choose(event.target.value); showWhat(); filtered(); });
  byId('filters').addEventListener('submit', (event) => event.preventDefault());
  document.querySelectorAll('.chip').forEach((chip) => chip.addEventListener('click', () => {
    const on = !state.weights.delete(chip.dataset.weight);
    if (on) state.weights.add(chip.dataset.weight);
    chip.setAttribute('aria-pressed', String(on));
    filtered();
  }));
  byId('clear').addEventListener('click', () => {
    Object.assign(state, { find: '', outcome: '', kind: '' });
    state.weights.clear();
    byId('filters').reset();
    byId('figure').value = state.column.name;
    document.querySelectorAll('.chip').forEach((chip) => chip.setAttribute('aria-pressed', 'false'));
    filtered();
    byId('find').focus();
  });
  byId('rest').querySelector('button').addEventListener('click', () => { state.most += AT_ONCE; draw(); });
  byId('table').tBodies[0].addEventListener('click', (event) => {
    if (event.target.closest('a') || String(getSelection())) return; // a link leads by itself; selected text stays
    event.target.closest('tr')?.querySelector('a.name').click();
  });
  byId('figure').value = data.figures[0].name;
  choose(state.column.name);
  draw();
  return table;
}

/** What is less: nothing at all is last, whichever way it is sorted. */
function compared(one, other, down) {
  const [none, neither] = [one === null || one === undefined, other === null || other === undefined];
  if (none || neither) return none - neither;
  const order = typeof one === 'string' ? one.localeCompare(other, 'en', { numeric: true }) : one - other || 0;
  return down ? -order : order;
}

/** Of a test the figure of this name, of several GPUs the one with the most; or, without a name, what matters most. */
function figureFor(test, name) {
  const figures = test.figures || [];
  if (!name) return test.nearest === undefined ? null : figures[test.nearest];
  return figures.filter((one) => one.figure === name).reduce((most, one) => (most && (most.bytes ?? -1) >= (one.bytes ?? -1) ? most : one), null);
}

/** An id as it stands in an address; half of a pair of surrogates, which none can hold, as what it is shown as. */
function linked(id) {
  return encodeURIComponent(id.toWellFormed ? id.toWellFormed() : id);
}
