// Thoughts as columns that fill while they are computed, the lines below them, and the answer's words. Knows what the API
// tells of a thought; a step is chosen here and told to who listens.

import { $, count, gauge, h, number, percent, svg, table } from './dom.js';

// Bars in a column; the table has all that were told.
const SHOWN = 6;

const WORDS = {
  zero: 'replaced by zeros',
  noise: 'with noise',
  random: 'replaced by a random vector',
  copy: 'replaced by another thought',
  repeat: 'the one before once more',
  skip: 'left out',
};

// The token as text, with what would not be seen made visible.
export const shown = (token) => token.trim() || (token === '' ? '∅' : token.replaceAll('\n', '⏎').replaceAll(' ', '␣'));

// What a column says about one thought, wherever it stands.
export function column(thought, most, done) {
  const bars = (thought.top_tokens ?? [])
    .slice(0, most)
    .filter(({ probability }, at) => at < 3 || probability >= 0.005);
  return [
    h('span', { class: 'step' }, `${thought.step}`, done ? h('em', {}, ` ${WORDS[done]}`) : ''),
    h(
      'span',
      { class: 'bars' },
      bars.map(({ token, probability }) => gauge(shown(token), probability)),
    ),
  ];
}

function spoken(thought) {
  const [first, second] = thought.top_tokens ?? [];
  const read = (top) => `${shown(top.token)} ${percent(top.probability)}`;
  return `Thought ${thought.step}: the head reads ${[first, second].filter(Boolean).map(read).join(', ')}`;
}

// The answer, and each of its tokens with the probability that it was chosen with.
export function answerOf(answer, tokens) {
  return [
    h('p', { class: 'said' }, answer || '…'),
    h(
      'p',
      { class: 'tokens' },
      tokens.map(({ text, logprob }) =>
        h(
          'span',
          { class: 'token' },
          h('span', {}, shown(text)),
          logprob === undefined || logprob === null ? '' : h('span', { class: 'soft' }, percent(Math.exp(logprob))),
        ),
      ),
    ),
  ];
}

// `choose(step)` is called when the user picks a thought.
export function thoughtsPanel(choose) {
  const list = $('thought-list');
  let thoughts = [];
  let tokens = [];

  function clear(steps) {
    [thoughts, tokens] = [[], []];
    const waiting = Array.from({ length: steps }, (_, at) =>
      h(
        'span',
        { class: 'thought waiting', 'aria-hidden': 'true' },
        h('span', { class: 'step' }, `${at + 1}`),
        h(
          'span',
          { class: 'bars' },
          [1, 2, 3].map(() => h('span', { class: 'gauge' })),
        ),
      ),
    );
    list.replaceChildren(list.querySelector('legend'), ...waiting);
    list.hidden = steps === 0;
    $('lines').replaceChildren();
    $('answer').replaceChildren();
    $('thoughts-table').hidden = true;
  }

  function add(thought, chosen) {
    thoughts.push(thought);
    const radio = h('input', {
      type: 'radio',
      name: 'step',
      value: thought.step,
      'aria-label': spoken(thought),
      set: { checked: thought.step === chosen },
      on: { change: () => choose(thought.step) },
    });
    const label = h('label', { class: 'thought' }, radio, column(thought, SHOWN));
    const place = list.querySelectorAll('.thought')[thought.step - 1];
    if (place) place.replaceWith(label);
    else list.append(label);
    list.hidden = false;
  }

  function say(token) {
    tokens.push(token);
    $('answer').replaceChildren(
      ...answerOf(
        tokens
          .map(({ text }) => text)
          .join('')
          .replace(/^\W+/, ''),
        tokens,
      ),
    );
  }

  function finish(result, verdict) {
    const told = tokens.map((token) => ({ ...token }));
    $('answer').replaceChildren(
      h(
        'p',
        { class: 'soft' },
        result.thoughts?.length
          ? `The answer after ${count(result.usage.latent_steps, 'thought')}`
          : 'The answer, at once',
      ),
      ...answerOf(result.answer, told),
      verdict ? h('p', { class: 'verdict' }, verdict) : '',
    );
    drawLines();
    const rows = thoughts.map((thought) => [
      `${thought.step}`,
      (thought.top_tokens ?? [])
        .slice(0, 10)
        .map((top) => `${shown(top.token)} ${percent(top.probability)}`)
        .join(', '),
      number(thought.norm),
      number(thought.entropy),
      number(thought.cosine),
    ]);
    $('thoughts-table').hidden = rows.length === 0;
    $('thoughts-table')
      .querySelector('.scroll')
      .replaceChildren(
        table(
          'What the head reads in each thought',
          ['Thought', 'Most probable words', 'Length', 'Entropy, nats', 'Cosine to the one before'],
          rows,
        ),
      );
  }

  function drawLines(chosen) {
    const line = (name, unit, field) =>
      sparkline(
        name,
        unit,
        thoughts.map((thought) => thought[field]),
        chosen,
      );
    $('lines').replaceChildren(
      ...(thoughts.length
        ? [
            line('Indecision of the head (entropy)', 'nats', 'entropy'),
            line('Length of the vector (norm)', '', 'norm'),
            line('Likeness to the one before (cosine)', '', 'cosine'),
          ]
        : []),
    );
  }

  function select(step) {
    for (const radio of list.querySelectorAll('input')) radio.checked = Number(radio.value) === step;
    drawLines(step);
  }

  return { clear, add, say, finish, select, all: () => thoughts, tokens: () => tokens };
}

// Values from 0 up, one a thought; the chosen one as a number too.
function sparkline(name, unit, values, chosen) {
  const known = values.map((value, at) => ({ value, at })).filter(({ value }) => value !== undefined && value !== null);
  if (known.length === 0) return '';
  const [width, height, edge] = [240, 44, 5];
  const least = Math.min(0, ...known.map(({ value }) => value));
  const most = Math.max(...known.map(({ value }) => value)) || 1;
  const x = (at) => edge + (values.length === 1 ? 0.5 : at / (values.length - 1)) * (width - 2 * edge);
  const y = (value) => height - edge - ((value - least) / (most - least || 1)) * (height - 2 * edge);
  const now = known.find(({ at }) => at + 1 === chosen) ?? known.at(-1);
  return h(
    'figure',
    { class: 'line' },
    h('figcaption', {}, h('span', {}, name), h('strong', {}, `${number(now.value)} ${unit}`)),
    svg(
      'svg',
      { viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true', focusable: 'false' },
      svg('path', { class: 'axis', d: `M${edge} ${y(least)}H${width - edge}` }),
      svg('polyline', { points: known.map(({ value, at }) => `${x(at)},${y(value)}`).join(' ') }),
      known.map(({ value, at }) => svg('circle', { cx: x(at), cy: y(value), r: at === now.at ? 4.5 : 2.2 })),
    ),
  );
}
