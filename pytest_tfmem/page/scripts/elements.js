// Elements, made of values: text is only ever set as text, so that nothing in it acts.

const SVG = 'http://www.w3.org/2000/svg';

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ''));
  return element;
}

function html(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function byId(id) {
  return document.getElementById(id);
}

function symbol(weight) {
  return html('span', { class: `symbol ${weight}` }, svg('svg', { 'aria-hidden': 'true' }, svg('use', { href: `#i-${weight}` })));
}

const WORDS = { fails: 'fails', undecided: 'not decided', warns: 'warns', fine: 'fine' };

/** The worst of a test's findings, with a symbol that says how much it weighs, and for a listener that in words. */
function kindOf(test) {
  const weighs = test.kind === 'fine' || test.kind === WORDS[test.weight || 'fine'] ? null : html('span', { class: 'sr' }, ` (${WORDS[test.weight || 'fine']})`);
  return html('span', { class: `kind ${test.weight || 'fine'}` }, symbol(test.weight || 'fine'), html('span', {}, test.kind || 'fine', weighs));
}

/** A test's file, and its name within, as two parts of one line; `most` cuts what is too long to be looked at. */
function nameOf(test, most = Infinity, where = '') {
  const name = test.shown || test.id;
  const at = name.indexOf('::');
  const [file, leaf] = at > 0 && at + 2 < name.length ? [name.slice(0, at), name.slice(at + 2)] : ['', name];
  return [file || where ? html('span', { class: 'file' }, cut(where || file, most)) : null, ' ', html('span', { class: 'leaf' }, cut(leaf, most))];
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most / 2)}…${text.slice(-most / 2)}` : text;
}

/** Say something to those who listen to the page. */
function say(text) {
  byId('said').textContent = text;
}
