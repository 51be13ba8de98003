// Charts, by plotly.js, which is unpacked and run when the first of them is to be drawn.

let library = null;

/** plotly.js. Rejects where the browser cannot unpack it: each chart has a table that says the same. */
function drawing() {
  library ||= (async () => {
    const bytes = binary(byId('library').textContent);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
    const script = document.createElement('script');
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    return window.Plotly;
  })();
  return library;
}

function binary(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** The first chart takes half a second, for the library is large: what else there is to see is shown before. */
function afterPaint(action) {
  requestAnimationFrame(() => setTimeout(action));
}

async function draw(place, traces, layout) {
  let plotly = null;
  try {
    plotly = await drawing();
  } catch {
    place.replaceChildren(html('p', { class: 'chart-empty' }, 'This browser cannot draw the chart. The table below has its values.'));
    return;
  }
  if (!place.isConnected) return;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  await plotly.react(place, traces, { ...frame(), ...layout, ...(still ? { transition: { duration: 0 } } : {}) }, {
    displayModeBar: false, responsive: true, doubleClick: 'reset', showTips: false,
  });
}

function axis() {
  return { gridcolor: colour('line'), linecolor: colour('line-strong'), zeroline: false, tickfont: { color: colour('muted') }, ticks: '', automargin: true, fixedrange: false };
}

function frame() {
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour('text') };
  return {
    font, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', margin: { l: 8, r: 38, t: 22, b: 8 }, hovermode: 'closest', dragmode: 'zoom',
    hoverlabel: { bgcolor: colour('raised'), bordercolor: colour('line-strong'), font: { ...font, color: colour('text') }, align: 'left' },
    xaxis: axis(), yaxis: axis(), showlegend: false,
  };
}

/** What stands in a chart is read as a kind of HTML: it is not to be. */
function inChart(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The trend of one figure: its runs in their order, the limit, and where it went to another level. */
function drawTrend(place, one, runs) {
  const values = unpacked(one.trend);
  const of = runsOf(one, runs, values.length);
  const limit = has(one, 'limit_bytes') ? one.limit_bytes : null;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const shown = limit !== null && limit <= high * 1.5 && limit >= low / 2;
  const { unit, factor } = unitFor(high);
  const [bottom, top] = [shown ? Math.min(low, limit) : low, shown ? Math.max(high, limit) : high];
  const room = Math.max((top - bottom) * 0.12, top * 0.05); // what hardly moves is to look like that
  const ticks = spread(values.length, Math.max(2, Math.floor(place.clientWidth / 130)));
  const when = of[0].at.slice(0, 10) === of.at(-1).at.slice(0, 10) ? [11] : [0, 10]; // of runs of one day their times
  const lines = (one.steps || []).map((step) => ({ type: 'line', x0: step.place - 0.5, x1: step.place - 0.5, yref: 'paper', y0: 0, y1: 1, line: { color: colour('muted'), width: 1, dash: 'dot' } }));
  const ceiling = shown ? [{ type: 'line', xref: 'paper', x0: 0, x1: 1, y0: limit / factor, y1: limit / factor, line: { color: colour('limit'), width: 1.5, dash: 'dash' } }] : [];
  const label = shown ? [{ xref: 'paper', x: 0, xanchor: 'left', y: limit / factor, yanchor: 'bottom', text: `limit ${size(limit)}`, showarrow: false, font: { color: colour('limit'), size: 12 } }] : [];
  const steps = (one.steps || []).map((step) => ({ x: step.place - 0.5, yref: 'paper', y: 1, yanchor: 'bottom', text: inChart(step.change.split(',')[0]), showarrow: false, font: { color: colour('muted'), size: 11 } }));
  const big = new Set((one.steps || []).map((step) => step.place).concat(values.length - 1));
  return draw(place, [{
    x: values.map((_, at) => at), y: values.map((value) => value / factor), mode: 'lines+markers', line: { color: colour('host'), width: 1.8, shape: 'linear' },
    marker: { color: colour('host'), size: values.map((_, at) => (big.has(at) ? 8 : values.length > 80 ? 3 : 5)) },
    text: values.map((value, at) => `<b>${size(value)}</b><br>${inChart(runInWords(of[at]))}`), hovertemplate: '%{text}<extra></extra>',
  }], {
    shapes: [...lines, ...ceiling], annotations: [...label, ...steps],
    xaxis: { ...axis(), showgrid: false, tickvals: ticks, ticktext: ticks.map((at) => of[at].at.slice(...when)), range: [-0.6, values.length - 0.4] },
    yaxis: { ...axis(), ticksuffix: ` ${unit}`, range: [Math.max(0, bottom - room) / factor, (top + room) / factor] },
  });
}

function runsOf(one, runs, length) {
  const places = one.runs && one.runs.length ? one.runs : Array.from({ length }, (_, at) => runs.length - length + at);
  return places.map((place) => runs[place]);
}

function runInWords(run) {
  const commit = run.commit ? `commit ${run.commit}${run.changed ? ' with changes' : ''}` : '';
  return [`${run.at} UTC`, commit, run.branch].filter(Boolean).join(', ');
}

function spread(length, most) {
  const ticks = Math.min(length, most);
  return [...new Set(Array.from({ length: ticks }, (_, at) => Math.round(ticks < 2 ? 0 : (at * (length - 1)) / (ticks - 1))))];
}

/** Memory over time: the host's and each GPU's, with the moments that have a name. */
function drawTimeline(place, timeline) {
  const at = unpacked(timeline.milliseconds).map((milliseconds) => milliseconds / 1000);
  const lines = linesOf(timeline);
  const most = Math.max(1, ...lines.flatMap((line) => line.values.filter((value) => value !== null)));
  const { unit, factor } = unitFor(most);
  const colours = ['host', 'device', 'third', 'fourth'];
  const traces = lines.map((line, number) => ({
    x: at, y: line.values.map((value) => (value === null ? null : value / factor)), name: inChart(line.name), mode: at.length > 1 ? 'lines' : 'markers', fill: number ? undefined : 'tozeroy',
    fillcolor: number ? undefined : tinted(colour('host')), connectgaps: true,
    line: { color: colour(colours[number % colours.length]), width: 1.8, dash: number < colours.length ? 'solid' : 'dot' },
    text: line.values.map((value) => (value === null ? '' : size(value))), hovertemplate: `<b>%{text}</b><br>${inChart(line.name)}, at %{x:.2f} s<extra></extra>`,
  }));
  const marks = timeline.marks || [];
  const end = at.at(-1) || 1;
  return draw(place, traces, {
    showlegend: lines.length > 1, legend: { orientation: 'h', x: 0, y: -0.16, yanchor: 'top', font: { color: colour('text') } },
    shapes: marks.map((mark) => ({ type: 'line', x0: mark.milliseconds / 1000, x1: mark.milliseconds / 1000, yref: 'paper', y0: 0, y1: 1, line: { color: colour('muted'), width: 1, dash: 'dot' } })),
    annotations: apart(marks, end * 1000, place.clientWidth).map(({ mark, level, anchor }) => ({ x: mark.milliseconds / 1000, yref: 'paper', y: 1, yshift: 2 + 13 * level, xanchor: anchor, yanchor: 'bottom', text: inChart(cut(mark.name, 24)), showarrow: false, font: { color: colour('muted'), size: 11 } })),
    margin: { l: 8, r: 24, t: 50, b: 8 },
    xaxis: { ...axis(), showgrid: false, ticksuffix: ' s', range: [0, end * 1.02] },
    yaxis: { ...axis(), ticksuffix: ` ${unit}`, range: [0, (most / factor) * 1.08] },
  });
}

/** Marks with the level of their label, of three, so that labels do not lie on each other; what finds no room has none. */
function apart(marks, end, width) {
  const free = [-Infinity, -Infinity, -Infinity];
  return marks.flatMap((mark) => {
    const wide = 6.5 * Math.min(24, mark.name.length) + 8;
    const at = (mark.milliseconds / end) * width * 0.85;
    const anchor = at + wide > width * 0.9 ? 'right' : 'left';
    const from = anchor === 'right' ? at - wide : at;
    const level = free.findIndex((taken) => taken < from);
    if (level < 0) return [];
    free[level] = from + wide;
    return [{ mark, level, anchor }];
  });
}

function linesOf(timeline) {
  const host = { name: 'host, all its processes', values: unpacked(timeline.host_bytes) };
  return [host, ...(timeline.gpus || []).map((gpu) => ({ name: `${gpu.name}: ${gpu.source}`, values: unpacked(gpu.bytes) }))];
}

function tinted(hex) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${red},${green},${blue},.12)`;
}
