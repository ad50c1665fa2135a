// What the user has set, kept in the address of the page, so that a link shows the same. Does not know what settings do.

// Three of them are the served model's own: null until it is known.
const DEFAULTS = {
  q: null, // The question.
  n: null, // Thoughts.
  k: 1, // The chosen thought.
  ring: -1, // Arrows from the start at thought k, less k.
  op: '', // What is done to a thought, and to which.
  at: 0,
  alpha: 1.4,
  other: null, // The question whose thoughts replace others.
  samples: 16,
  noise: 1.4,
  temperature: 0,
  seed: 1,
};

const TEXTS = ['q', 'op', 'other'];

export const settings = { ...DEFAULTS };

// What the served model begins with, where the address says nothing else.
export function setModelDefaults(own) {
  for (const [name, value] of Object.entries(own)) {
    DEFAULTS[name] = value;
    settings[name] ??= value;
  }
}

export function fromAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  Object.assign(settings, DEFAULTS);
  for (const name of Object.keys(DEFAULTS)) {
    const text = found.get(name);
    if (text === null) continue;
    const value = TEXTS.includes(name) ? text : Number(text);
    if (!Number.isNaN(value)) settings[name] = value;
  }
}

// What is as always is left out; the history gets no entry.
export function toAddress() {
  const kept = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) {
    if (value !== DEFAULTS[name] && value !== null) kept.set(name, value);
  }
  const text = kept.toString();
  history.replaceState(null, '', text ? `#${text}` : location.pathname + location.search);
}
