// The rows of the table of tests: one for each test, made when it is first shown.

const LONGEST_NAME = 240;

/** The columns: how each is headed, what it is sorted by, and its cell. `numeric` ones begin with the greatest. */
function columnsOf(column) {
  const sizes = (name) => `${name}, ${column.unit}`;
  const figure = [{ key: 'figure', head: 'Figure', value: (row) => row.one && row.one.figure, cell: (row) => (row.one ? row.one.figure + (row.one.gpu ? ` on ${row.one.gpu}` : '') : null) }];
  return [
    { key: 'kind', head: 'Verdict', value: (row) => row.order, cell: (row) => kindOf(row.test) },
    { key: 'test', head: 'Test', value: (row) => row.name, cell: (row) => html('a', { class: 'name', href: row.link }, nameOf(row.test, LONGEST_NAME)) },
    ...(column.name ? [] : figure),
    { key: 'bytes', head: sizes('Peak'), numeric: true, value: (row) => row.one && row.one.bytes, cell: (row) => sizeCell(row.one, column) },
    { key: 'limit', head: sizes('Limit'), numeric: true, value: (row) => row.one && row.one.limit_bytes, cell: (row) => (has(row.one, 'limit_bytes') ? inColumn(row.one.limit_bytes, column) : null) },
    { key: 'share', head: 'Of limit', numeric: true, value: shareOf, cell: shareCell },
    { key: 'change', head: 'Change', numeric: true, value: changeOf, cell: changeCell },
    { key: 'trend', head: 'Trend', numeric: true, value: (row) => spreadOf(row.one), cell: trendCell },
    { key: 'seconds', head: 'Time', numeric: true, value: (row) => row.test.seconds, cell: (row) => (row.test.seconds === undefined ? null : seconds(row.test.seconds)) },
  ];
}

const NUMBERS = new Set(['bytes', 'limit', 'share', 'change', 'seconds']);

function has(one, name) {
  return one !== null && one !== undefined && one[name] !== undefined && one[name] !== null;
}

function sizeCell(one, column) {
  if (!one) return null;
  if (!has(one, 'bytes')) return html('span', { class: 'none', title: one.reason }, 'not measured');
  return html('span', { title: `${one.bytes.toLocaleString('en-US')} bytes, ${one.exactness}` }, inColumn(one.bytes, column));
}

function shareOf(row) {
  if (!has(row.one, 'limit_bytes') || !has(row.one, 'bytes')) return null;
  return row.one.limit_bytes ? row.one.bytes / row.one.limit_bytes : Infinity;
}

const TONES = { over: 'fails', warn: 'warns', xfail: 'warns', waived: 'warns', near: 'warns', ok: 'fine' };

function shareCell(row) {
  const share = shareOf(row);
  if (share === null) return null;
  return html('span', { class: `share ${TONES[row.one.standing] || ''}` }, meter(share), html('span', {}, row.one.share || 'over 0'));
}

function meter(share) {
  const bar = html('i');
  bar.style.width = `${Math.min(100, share * 100)}%`;
  return html('span', { class: 'meter', 'aria-hidden': 'true' }, bar);
}

function changeOf(row) {
  if (!has(row.one, 'before_bytes') || !has(row.one, 'bytes') || !row.one.before_bytes) return null;
  return row.one.bytes / row.one.before_bytes - 1;
}

function changeCell(row) {
  if (!row.one || !row.one.changed) return null;
  if (!row.one.change) return html('span', { class: 'none' }, row.one.changed);
  const way = { regressed: 'regressed', suspect: 'up', improved: 'down' }[row.one.changed] || 'none';
  const word = way === 'none' ? null : html('span', { class: 'sr' }, ` ${row.one.changed}`);
  const text = way === 'none' && Math.abs(changeOf(row)) < 0.0005 ? '≈ 0 %' : row.one.change;
  return html('span', { class: way }, text, word);
}

function spreadOf(one) {
  if (!one || !one.trend || one.trend.length < 4) return null;
  const values = unpacked(one.trend);
  return (Math.max(...values) - Math.min(...values)) / (Math.max(...values) || 1);
}

function trendCell(row) {
  if (!row.one || !row.one.trend || row.one.trend.length < 4) return null;
  const values = unpacked(row.one.trend);
  return [sparkline(values), html('span', { class: 'sr' }, trendInWords(values))];
}

/** The element of a row. */
function rowElement(row, columns) {
  const cells = columns.map((column) => {
    const content = column.cell(row);
    const blank = content === null || content === undefined;
    return html('td', {
      role: 'cell', class: `c-${column.key}${NUMBERS.has(column.key) ? ' number' : ''}${blank ? ' blank' : ''}`, 'data-head': column.head,
    }, blank ? html('span', { class: 'none' }, html('span', { 'aria-hidden': 'true' }, '–'), html('span', { class: 'sr' }, 'none')) : content);
  });
  return html('tr', { role: 'row' }, cells);
}
