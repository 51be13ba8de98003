// The shape of a trend in the size of a word.

const SPARK = { width: 100, height: 24, points: 60 };
const LEVEL = 0.01; // of the highest value: a range below this is drawn level, as noise would look like growth

/** As many values as there is room for, each the highest of its part, so that no peak is lost. */
function thinned(values, most) {
  const parts = Math.min(values.length, most);
  return Array.from({ length: parts }, (_, part) =>
    Math.max(...values.slice(Math.floor((part * values.length) / parts), Math.floor(((part + 1) * values.length) / parts))));
}

function sparkline(values) {
  const drawn = thinned(values, SPARK.points);
  const [low, high] = [Math.min(...drawn), Math.max(...drawn)];
  const level = high - low <= LEVEL * Math.abs(high);
  const x = (at) => (drawn.length < 2 ? SPARK.width : (at / (drawn.length - 1)) * (SPARK.width - 4) + 1);
  const y = (value) => (level ? SPARK.height / 2 : SPARK.height - 3 - ((value - low) / (high - low)) * (SPARK.height - 6));
  const path = drawn.map((value, at) => `${at ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('');
  return svg('svg', { class: 'spark', viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('path', { d: path }), svg('circle', { cx: x(drawn.length - 1).toFixed(1), cy: y(drawn.at(-1)).toFixed(1), r: 2 }));
}

/** The same in words, for those who do not see it. */
function trendInWords(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return `${count(values.length, 'run')}, ${low === high ? size(low) : `${size(low)} to ${size(high)}`}, now ${size(values.at(-1))}`;
}
