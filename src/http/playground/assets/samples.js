// Several answers to one question, and what most of them say. Knows the samples of the API.

import { $, announce, count, gauge, h, percent, table, unfold } from './dom.js';
import { sureness } from './compare.js';
import { isRight } from './question.js';
import { settings } from './settings.js';

export function samplesPanel(app) {
  async function run(signal) {
    const { samples, noise, temperature, seed } = settings;
    const body = { ...app.base(), n: samples, temperature, seed, include: ['logprobs'] };
    if (noise > 0) body.latent_noise = { sigma: noise };
    const result = await app.whole(body, signal);
    draw(result, app.graph());
  }

  function draw(result, graph) {
    // One sample has no choices: it is the answer.
    const choices = result.choices ?? [{ ...result, index: 0, seed: settings.seed }];
    const votes = new Map();
    for (const { answer } of choices) votes.set(answer, (votes.get(answer) ?? 0) + 1);
    const ranked = [...votes].sort((a, b) => b[1] - a[1]);
    const vote = result.vote ?? { answer: result.answer, count: 1, agreement: 1 };
    const verdict = graph ? isRight(graph, vote.answer) : null;
    const follows =
      verdict === null ? '' : verdict ? ' It follows from the sentences.' : ' It does not follow from the sentences.';
    const summary = `The vote is “${vote.answer}”, by ${vote.count} of ${count(choices.length, 'sample')}.${follows}`;
    $('samples-result').replaceChildren(
      h('p', { class: 'verdict' }, summary),
      h(
        'ol',
        { class: 'votes' },
        ranked.map(([answer, times]) =>
          h('li', {}, gauge(answer || '(nothing)', times / choices.length, `${times} of ${choices.length}`)),
        ),
      ),
      unfold(
        'Samples as a table',
        table(
          'Samples',
          ['Sample', 'Seed', 'Answer', 'Its probability'],
          choices.map((choice) => [
            `${choice.index + 1}`,
            `${choice.seed ?? ''}`,
            choice.answer,
            percent(sureness(choice)),
          ]),
        ),
      ),
    );
    announce(summary);
  }

  app.task($('samples-run'), 'Stop', run);
  return { clear: () => $('samples-result').replaceChildren() };
}
