// One question after 0, 1, 2, ... thoughts, from one request. Knows the sweep of the API and draws a card for each answer.

import { $, announce, count, gauge, h, percent, table, unfold } from './dom.js';
import { isRight } from './question.js';
import { shown } from './thoughts.js';

const MOST = 8;

// The probability of a whole answer: that of its tokens, one after the other.
export const sureness = (choice) =>
  Math.exp((choice.logprobs ?? []).reduce((sum, { logprob }) => sum + (logprob ?? 0), 0));

export function comparePanel(app) {
  const button = $('compare-run');

  async function run(signal) {
    const { question } = app.base();
    const numbers = Array.from({ length: Math.min(MOST, app.most()) + 1 }, (_, at) => at);
    const result = await app.whole(
      { question, sweep: numbers, include: ['thoughts', 'logprobs'], top_thought_tokens: 3 },
      signal,
    );
    draw(result, app.graph());
  }

  function draw(result, graph) {
    const cards = result.answers.map((answer) => ({
      answer,
      right: graph ? isRight(graph, answer.answer) : null,
      thought: result.thoughts?.[answer.latent_steps - 1],
    }));
    const summary = summed(cards, graph);
    const rows = cards.map(({ answer, right, thought }) => [
      `${answer.latent_steps}`,
      answer.answer,
      percent(sureness(answer)),
      right === null ? '' : right ? 'follows' : 'does not follow',
      read(thought),
    ]);
    $('compare-result').replaceChildren(
      h('p', { class: 'verdict' }, summary),
      h('ol', { class: 'cards' }, cards.map(card)),
      unfold(
        'Answers as a table',
        table(
          'Answers by number of thoughts',
          ['Thoughts', 'Answer', 'Its probability', 'By the sentences', 'Read in the last thought'],
          rows,
        ),
      ),
    );
    announce(summary);
  }

  function card({ answer, right, thought }) {
    return h(
      'li',
      { class: `card ${right === false ? 'wrong' : ''}` },
      h('p', { class: 'step' }, count(answer.latent_steps, 'thought')),
      h('p', { class: 'said' }, answer.answer || '(nothing)'),
      right === null ? '' : h('p', { class: 'mark' }, right ? '✓ follows' : '✗ does not follow'),
      gauge('probability', sureness(answer)),
      h('p', { class: 'soft small' }, thought ? `Last thought: ${read(thought)}` : 'No thought'),
    );
  }

  app.task(button, 'Stop', run);
  return {
    clear: () => $('compare-result').replaceChildren(),
    bound: () => {
      $('compare-range').textContent = `0 to ${Math.min(MOST, app.most())}`;
    },
  };
}

const read = (thought) =>
  (thought?.top_tokens ?? []).map(({ token, probability }) => `${shown(token)} ${percent(probability)}`).join(', ');

function summed(cards, graph) {
  if (!graph) {
    const different = new Set(cards.map(({ answer }) => answer.answer)).size;
    return `${count(different, 'different answer')} after 0 to ${cards.length - 1} thoughts.`;
  }
  const right = cards.filter((card) => card.right).map(({ answer }) => answer.latent_steps);
  if (right.length === 0) return 'None of these answers follows from the sentences.';
  return `The answer follows from the sentences after ${right.join(', ')} thoughts: ${right.length} of ${cards.length}.`;
}
