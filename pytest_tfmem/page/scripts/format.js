// Sizes and other values as text, and packed numbers as numbers. The sizes are those of pytest_tfmem/units.py.

const UNITS = [['TiB', 2 ** 40, 2], ['GiB', 2 ** 30, 2], ['MiB', 2 ** 20, 1], ['KiB', 2 ** 10, 0]];

/** A size for people, in the largest binary unit that keeps it at 1 or more. */
function size(bytes) {
  for (const [unit, factor, digits] of UNITS) {
    if (Math.abs(bytes) >= factor) return `${(bytes / factor).toFixed(digits)} ${unit}`;
  }
  return `${bytes} B`;
}

/** The unit that suits sizes up to this one on an axis: its name and its bytes. */
function unitFor(most) {
  const [unit, factor] = UNITS.find(([, factor]) => most >= 2 * factor) || ['B', 1];
  return { unit, factor };
}

/** A size in the unit of its column, without it. */
function inColumn(bytes, column) {
  if (!bytes) return '0';
  const digits = Math.abs(bytes) < column.unit_bytes / 10 ** column.digits ? 3 : column.digits;
  return (bytes / column.unit_bytes).toLocaleString('en-US', { minimumFractionDigits: column.digits, maximumFractionDigits: digits });
}

function seconds(value) {
  return value < 60 ? `${value.toFixed(value < 10 ? 2 : 1)} s` : `${Math.floor(value / 60)} min ${String(Math.round(value % 60)).padStart(2, '0')} s`;
}

function count(number, noun) {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
}

/** Numbers that were packed (pytest_tfmem/page/packed.py): the first, the step, then each as steps from the last. */
function unpacked([first, step, ...differences]) {
  let at = first;
  return differences.map((difference) => (difference === null ? null : (at += difference * step)));
}
