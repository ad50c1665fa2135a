// Something else in the place of one thought, by a click, beside the answer without. Knows the interventions of the API.

import { $, announce, h, percent } from './dom.js';
import { settings } from './settings.js';
import { answerOf, column } from './thoughts.js';

const OPS = [
  { op: 'zero', name: 'Zeros', says: 'in its place' },
  { op: 'noise', name: 'Noise', says: 'added to it' },
  { op: 'random', name: 'Random', says: 'a vector as long' },
  { op: 'copy', name: 'Replace', says: 'by another question’s' },
  { op: 'repeat', name: 'Repeat', says: 'the one before', from: 2 },
  { op: 'skip', name: 'Leave out', says: 'one thought fewer' },
];

// In the places of all thoughts at once: the controls that tell whether they matter at all. `at` is 0.
const CONTROLS = [
  { op: 'shuffle', name: 'Another order' },
  { op: 'random', name: 'Random vectors' },
  { op: 'pause', name: 'A pause word' },
  { op: 'none', name: 'Nothing' },
];

const SHOWN = 3;

export function intervenePanel(app) {
  // What came of each: `op at` to whether the answer changed.
  let known = new Map();

  function body(op, at) {
    const asked = { ...app.base(), include: app.include(), top_thought_tokens: SHOWN };
    if (at === 0) return { ...asked, feedback: op, seed: settings.seed };
    const change = { step: at, op };
    if (op === 'noise') change.alpha = settings.alpha;
    if (op === 'noise' || op === 'random') change.seed = settings.seed;
    if (op === 'copy') change.from = settings.other?.trim() ? { question: settings.other, step: at } : { step: 1 };
    return { ...asked, interventions: [change] };
  }

  // Asks for one change and notes what came of it.
  async function ask(op, at, signal) {
    const plain = await app.plain(signal);
    const changed = await app.whole(body(op, at), signal);
    known.set(`${op} ${at}`, changed.answer !== plain.answer);
    return { plain, changed };
  }

  async function show(op, at, signal) {
    Object.assign(settings, { op, at });
    app.changed();
    const { plain, changed } = await ask(op, at, signal);
    drawMatrix();
    const summary = summed(plain, changed);
    $('change-result').replaceChildren(
      h('p', { class: 'verdict' }, summary),
      h(
        'div',
        { class: 'sides' },
        side('Unchanged', plain, app.tokensOf(plain)),
        side(title(op, at), changed, app.tokensOf(changed), { op, at }),
      ),
    );
    announce(summary);
  }

  async function all(signal) {
    for (const { op, from } of OPS) {
      for (let at = from ?? 1; at <= app.base().latent_steps; at += 1) {
        await ask(op, at, signal);
        drawMatrix();
      }
    }
    for (const { op } of CONTROLS) await ask(op, 0, signal);
    drawMatrix();
    const changed = [...known.values()].filter(Boolean).length;
    const summary = `${changed} of ${known.size} changes give another answer.`;
    $('change-result').replaceChildren(h('p', { class: 'verdict' }, summary));
    announce(summary);
  }

  // The focus stays on the same cell when the matrix is drawn anew.
  function drawMatrix() {
    const steps = app.base().latent_steps;
    const focused = document.activeElement?.dataset?.cell;
    const columns = Array.from({ length: steps }, (_, at) => at + 1);
    $('change-all').hidden = steps === 0;
    $('change-matrix').replaceChildren(
      steps === 0
        ? h('p', { class: 'note' }, 'With no thoughts there is none to change.')
        : h(
            'div',
            { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Changes to thoughts' },
            h(
              'table',
              { class: 'matrix' },
              h('caption', { class: 'unseen' }, 'Changes by thought; each cell asks'),
              h(
                'thead',
                {},
                h(
                  'tr',
                  {},
                  h('td'),
                  columns.map((at) => h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Thought '), `${at}`)),
                ),
              ),
              h(
                'tbody',
                {},
                OPS.map((row) =>
                  h(
                    'tr',
                    {},
                    h('th', { scope: 'row' }, row.name, h('span', { class: 'soft' }, ` ${row.says}`)),
                    columns.map((at) => cell(row, at)),
                  ),
                ),
              ),
            ),
            h('fieldset', { class: 'chips' }, h('legend', {}, 'In the places of all thoughts'), CONTROLS.map(control)),
          ),
    );
    if (focused) document.querySelector(`[data-cell="${focused}"]`)?.focus();
  }

  const cell = (row, at) =>
    h('td', {}, at >= (row.from ?? 1) && button(row, at, (sign) => sign, `${row.name}, thought ${at}`));

  const control = (row) =>
    button(row, 0, (sign) => `${row.name} ${sign}`, `${row.name}, in the places of all thoughts`);

  function button({ op }, at, content, label) {
    const changed = known.get(`${op} ${at}`);
    const [sign, came] =
      changed === undefined ? ['·', ''] : changed ? ['≠', ': the answer changes'] : ['=', ': the answer stays'];
    return h(
      'button',
      {
        type: 'button',
        'data-cell': `${op}-${at}`,
        'aria-label': label + came,
        'aria-pressed': `${settings.op === op && settings.at === at}`,
        class: changed ? 'other' : '',
        on: { click: () => app.exclusively((signal) => show(op, at, signal)) },
      },
      content(sign),
    );
  }

  app.task($('change-all'), 'Stop', all);
  return {
    drawMatrix,
    // Another question or number of thoughts: nothing is known any more.
    clear() {
      known = new Map();
      $('change-result').replaceChildren();
      drawMatrix();
    },
    // What the address asked for, once there is an answer to hold it against.
    async resume(signal) {
      const { op, at } = settings;
      const steps = app.base().latent_steps;
      const wanted =
        at === 0 ? CONTROLS.some((row) => row.op === op) : OPS.some((row) => row.op === op && at >= (row.from ?? 1));
      if (wanted && steps > 0 && at <= steps) await show(op, at, signal);
    },
  };
}

const title = (op, at) => {
  if (at === 0) return `In the places of all thoughts: ${CONTROLS.find((row) => row.op === op).name.toLowerCase()}`;
  const { name, says } = OPS.find((row) => row.op === op);
  return `Thought ${at}: ${name.toLowerCase()} ${says}`;
};

function summed(plain, changed) {
  if (plain.answer !== changed.answer) return `The answer changes: “${plain.answer}” becomes “${changed.answer}”.`;
  const least = (result) => Math.exp(Math.min(...(result.logprobs ?? []).map(({ logprob }) => logprob ?? 0)));
  const words = `Its least probable word had ${percent(least(plain))}, now ${percent(least(changed))}.`;
  return `The answer does not change: “${plain.answer}”. ${words}`;
}

// A thought that is left out is told of by nobody: it gets a column all the same, with nothing in it.
function side(name, result, tokens, change) {
  const thoughts = [...(result.thoughts ?? [])];
  if (change?.op === 'skip' && change.at > 0) thoughts.splice(change.at - 1, 0, { step: change.at });
  const columns = thoughts.map((thought) => {
    const here = change?.at === thought.step ? change.op : undefined;
    return h('li', { class: `thought ${here ? 'changed' : ''}` }, column(thought, SHOWN, here));
  });
  return h(
    'article',
    {},
    h('h3', {}, name),
    answerOf(result.answer, tokens),
    h('ol', { class: 'thoughts' }, columns),
    change ? h('p', { class: 'soft small' }, note(change, thoughts)) : '',
  );
}

function note({ op, at }, thoughts) {
  if (thoughts.length === 0) return 'No thought was computed.';
  if (op === 'skip') return '';
  return `${at === 0 ? 'Everywhere' : 'At the changed thought'} the bars are what the head read before the change.`;
}
