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

const SHOWN = 3;

export function intervenePanel(app) {
  // What came of each: `op at` to whether the answer changed.
  let known = new Map();

  function body(op, at) {
    const change = { step: at, op };
    if (op === 'noise') change.alpha = settings.alpha;
    if (op === 'noise' || op === 'random') change.seed = settings.seed;
    if (op === 'copy') change.from = settings.other?.trim() ? { question: settings.other, step: at } : { step: 1 };
    return { ...app.base(), interventions: [change], include: app.include(), top_thought_tokens: SHOWN };
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
    $('change-result').replaceChildren(h('p', { class: 'verdict' }, summary), h('div', { class: 'sides' },
      side('Unchanged', plain, app.tokensOf(plain)), side(title(op, at), changed, app.tokensOf(changed), { op, at })));
    announce(summary);
  }

  async function all(signal) {
    for (const { op, from } of OPS) {
      for (let at = from ?? 1; at <= app.base().latent_steps; at += 1) {
        await ask(op, at, signal);
        drawMatrix();
      }
    }
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
    $('change-matrix').replaceChildren(steps === 0 ? h('p', { class: 'note' }, 'With no thoughts there is none to change.')
      : h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Changes to thoughts' }, h('table', { class: 'matrix' },
        h('caption', { class: 'unseen' }, 'Changes by thought; each cell asks'),
        h('thead', {}, h('tr', {}, h('td'), columns.map((at) => h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Thought '), `${at}`)))),
        h('tbody', {}, OPS.map((row) => h('tr', {},
          h('th', { scope: 'row' }, row.name, h('span', { class: 'soft' }, ` ${row.says}`)), columns.map((at) => cell(row, at))))))));
    if (focused) document.querySelector(`[data-cell="${focused}"]`)?.focus();
  }

  function cell({ op, name, from }, at) {
    if (at < (from ?? 1)) return h('td');
    const changed = known.get(`${op} ${at}`);
    const came = changed === undefined ? '' : changed ? ': the answer changes' : ': the answer stays';
    const button = h('button', {
      type: 'button', 'data-cell': `${op}-${at}`, 'aria-label': `${name}, thought ${at}${came}`,
      'aria-pressed': `${settings.op === op && settings.at === at}`, class: changed ? 'other' : '',
    }, changed === undefined ? '·' : changed ? '≠' : '=');
    button.addEventListener('click', () => app.exclusively((signal) => show(op, at, signal)));
    return h('td', {}, button);
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
      const wanted = OPS.find((row) => row.op === op);
      if (wanted && at >= (wanted.from ?? 1) && at <= app.base().latent_steps) await show(op, at, signal);
    },
  };
}

const title = (op, at) => {
  const { name, says } = OPS.find((row) => row.op === op);
  return `Thought ${at}: ${name.toLowerCase()} ${says}`;
};

function summed(plain, changed) {
  if (plain.answer !== changed.answer) return `The answer changes: “${plain.answer}” becomes “${changed.answer}”.`;
  const least = (result) => Math.exp(Math.min(...(result.logprobs ?? []).map(({ logprob }) => logprob ?? 0)));
  return `The answer does not change: “${plain.answer}”. Its least probable word had ${percent(least(plain))}, now ${percent(least(changed))}.`;
}

function side(name, result, tokens, change) {
  const columns = (result.thoughts ?? []).map((thought) => {
    const here = change && thought.step === change.at ? change.op : undefined;
    return h('li', { class: `thought ${here ? 'changed' : ''}` }, column(thought, SHOWN, here));
  });
  return h('article', {}, h('h3', {}, name), answerOf(result.answer, tokens),
    h('ol', { class: 'thoughts' }, columns),
    change ? h('p', { class: 'soft small' }, 'At the changed thought the bars are what the head read before the change.') : '');
}
