// Elements, made and found, and how numbers are written. Knows nothing of thoughts and of the server.

export const $ = (id) => document.getElementById(id);

const SVG = 'http://www.w3.org/2000/svg';

// What may stand in `properties`: attributes, `on` with listeners, `set` with properties of the element, and `size` with
// custom properties for the style sheet. They go through the object model, since the policy forbids style attributes.
function make(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'on') for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    else if (name === 'set') Object.assign(element, value);
    else if (name === 'size') for (const [key, length] of Object.entries(value)) element.style.setProperty(key, length);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

export const h = (tag, properties, ...children) => make(document.createElement(tag), properties, children);

export const svg = (tag, properties, ...children) => make(document.createElementNS(SVG, tag), properties, children);

// Between a number and its unit: lines do not break there.
const SPACE = '\u00a0';

// 0.314 is 31 %; what is not nothing never looks like nothing, and what is not all never like all.
export function percent(share) {
  if (share <= 0) return `0${SPACE}%`;
  if (share < 0.005) return `<${SPACE}1${SPACE}%`;
  if (share > 0.995 && share < 0.9995) return `>${SPACE}99${SPACE}%`;
  return `${Math.round(share * 100)}${SPACE}%`;
}

export const number = (value, digits = 2) => (value === undefined || value === null ? '' : value.toFixed(digits));

export const count = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

// Head and rows are lists of texts or elements; the first cell of a row names it.
export function table(caption, head, rows) {
  const cells = (row) => row.map((cell, at) => (at === 0 ? h('th', { scope: 'row' }, cell) : h('td', {}, cell)));
  return h(
    'table',
    {},
    h('caption', {}, caption),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        head.map((cell) => h('th', { scope: 'col' }, cell)),
      ),
    ),
    h(
      'tbody',
      {},
      rows.map((row) => h('tr', {}, cells(row))),
    ),
  );
}

// A table that is opened below its picture.
export function unfold(summary, content) {
  return h(
    'details',
    {},
    h('summary', {}, summary),
    h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': summary }, content),
  );
}

// One bar: a name, and a share that fills it.
export function gauge(name, share, extra) {
  return h(
    'span',
    { class: 'gauge', size: { '--share': share } },
    h('span', { class: 'name' }, name),
    h('span', { class: 'share' }, extra ?? percent(share)),
  );
}

// One polite region for the whole page, for summaries only: what is read aloud should be worth listening to.
export function announce(text) {
  if ($('live').textContent !== text) $('live').textContent = text;
}
