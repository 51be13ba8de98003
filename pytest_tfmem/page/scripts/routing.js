// Which view: all tests, or the one that the address names. The back button leads back, and to where one was.

const data = JSON.parse(byId('data').textContent);
const tests = new Map(data.tests.map((test) => [linked(test.id), test]));
const overviewTitle = document.title;
let left = null; // where the reader was in the overview: how far down, and on which link

function named() {
  const found = /^#test=(.*)$/s.exec(location.hash);
  return found ? found[1] : null;
}

function decoded(name) {
  try { return decodeURIComponent(name); } catch { return name; }
}

function route() {
  const name = named();
  Object.assign(redraw, { trend: null, timeline: null });
  if (name === null) showOverview();
  else showTest(name);
}

function showTest(name) {
  const id = decoded(name);
  const test = tests.get(linked(id));
  byId('overview').hidden = true;
  byId('test').hidden = false;
  if (test) testView(test, data, around(test));
  else missingView(id);
  document.title = `${test ? cut(test.shown || test.id, 120) : 'No such test'} · ${overviewTitle}`;
  scrollTo(0, 0);
  byId('test').focus({ preventScroll: true });
}

function around(test) {
  const at = table.order.indexOf(test);
  return at < 0 ? [] : [table.order[at - 1], table.order[at + 1]];
}

function showOverview() {
  const was = !byId('test').hidden;
  byId('test').hidden = true;
  byId('test').replaceChildren();
  byId('overview').hidden = false;
  document.title = overviewTitle;
  if (!was) return;
  if (left) scrollTo(0, left.down);
  (left && left.link.isConnected ? left.link : byId('main')).focus({ preventScroll: true });
}

document.addEventListener('click', (event) => {
  const link = event.target.closest('a');
  if (!link) return;
  if (link.hasAttribute('data-home')) { event.preventDefault(); home(); }
  else if (byId('overview').contains(link) && link.hash.startsWith('#test=')) left = { down: scrollY, link };
});

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (named() !== null) home();
});

function home() {
  if (named() === null) scrollTo(0, 0);
  else location.hash = '';
}

window.addEventListener('hashchange', route);
startTheme();
const table = startTable(data);
route();
