// The page: its settings, its one request at a time, and its parts put together. What the parts show is theirs.

import { Refused, key, servedModel, streamed, whole } from './api.js';
import { comparePanel } from './compare.js';
import { $, announce, count, h } from './dom.js';
import { examplesFor } from './examples.js';
import { graphPanel } from './graph.js';
import { intervenePanel } from './intervene.js';
import { graphOf, isRight } from './question.js';
import { requestPanel } from './request.js';
import { samplesPanel } from './samples.js';
import { fromAddress, setModelDefaults, settings, toAddress } from './settings.js';
import { thoughtsPanel } from './thoughts.js';

const RETRY_MS = 1000;
const INCLUDE = ['thoughts', 'entropy', 'cosine', 'logprobs'];
const SLIDER_MOST = 12;

// Which of a request's fields is which input of the page.
const FIELDS = [
  [/^interventions\[\d+\]\.alpha/, 'alpha'],
  [/^interventions\[\d+\]\.from/, 'other'],
  [/^question/, 'question'],
  [/^(latent_steps|sweep)/, 'steps'],
  [/^latent_noise/, 'noise'],
  [/^temperature/, 'temperature'],
  [/^n$/, 'samples'],
  [/^seed/, 'seed'],
];
const NUMBERS = ['alpha', 'samples', 'noise', 'temperature', 'seed'];

let model = null;
let running = null; // The AbortController of what is asked now.
let last = null; // The plain answer on show, and what it answers.
let again = null; // What a key would let happen.

const app = {
  most: () => Math.min(model?.coconut.max_latent_steps ?? SLIDER_MOST, SLIDER_MOST),
  base: () => ({ question: $('question').value, latent_steps: Number($('steps').value) }),
  graph: () => graphOf($('question').value),
  include: () => INCLUDE,
  changed: toAddress,
  exclusively,
  task,
  async whole(body, signal) {
    const result = await whole(body, signal);
    request.remember(body, result);
    return result;
  },
  // The answer to the question as it is, asked for where it is not on show.
  async plain(signal) {
    if (last?.asked !== JSON.stringify(app.base())) await askPlain(signal);
    return last.result;
  },
  tokensOf: (result) => texts(result),
};

const thoughts = thoughtsPanel(choose);
const graph = graphPanel(choose);
const compare = comparePanel(app);
const change = intervenePanel(app);
const samples = samplesPanel(app);
const request = requestPanel();

function choose(step) {
  settings.k = Math.max(1, step);
  thoughts.select(settings.k);
  graph.select(settings.k, settings.ring);
  toAddress();
}

// ===== asking =====

function plainBody() {
  const base = app.base();
  // All words of a graph, as far as the API tells them; elsewhere as many as the table shows.
  return { ...base, include: INCLUDE, top_thought_tokens: graphOf(base.question) ? 100 : 10 };
}

async function askPlain(signal) {
  const body = plainBody();
  const { question, latent_steps: steps } = body;
  thoughts.clear(steps);
  graph.setThoughts([]);
  $('warning').hidden = true;
  const result = await streamed(body, signal, {
    thought: (thought) => {
      thoughts.add(thought, settings.k);
      graph.setThoughts(thoughts.all());
    },
    token: (token) => thoughts.say(token),
  });
  const asked = graphOf(question);
  const right = asked ? isRight(asked, result.answer) : null;
  const verdict =
    right === null ? '' : right ? 'It follows from the sentences.' : 'It does not follow from the sentences.';
  last = { asked: JSON.stringify({ question, latent_steps: steps }), result, tokens: thoughts.tokens() };
  thoughts.finish(result, verdict);
  request.remember(body, result);
  choose(Math.min(settings.k, Math.max(1, steps)));
  $('warning').hidden = !result.warnings?.length;
  $('warning').textContent = (result.warnings ?? []).map(({ message }) => message).join(' ');
  announce(`${count(steps, 'thought')}. Answer: ${result.answer || 'nothing'}. ${verdict} ${$('warning').textContent}`);
}

async function ask(signal) {
  await askPlain(signal);
  await change.resume(signal);
}

// A whole answer tells its tokens by id only; those of the answer on show are known, others are words of the text.
function texts(result) {
  if (result === last?.result) return last.tokens;
  const known = new Map(last?.tokens.map(({ id, text }) => [id, text]));
  for (const { top_tokens: tops } of [...(last?.result.thoughts ?? []), ...(result.thoughts ?? [])]) {
    for (const { id, token } of tops ?? []) known.set(id, token);
  }
  const tokens = (result.logprobs ?? []).map(({ id, logprob }) => ({ text: known.get(id), logprob }));
  return tokens.every(({ text }) => text !== undefined) ? tokens : [];
}

// ===== one thing at a time =====

async function exclusively(run) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  clearProblems();
  $('stop').setAttribute('aria-disabled', 'false');
  document.body.classList.add('busy');
  try {
    await run(mine.signal);
  } catch (error) {
    if (error.name === 'AbortError') {
      if (running === mine) announce('Stopped.');
    } else if (error instanceof Refused) {
      refused(error, run);
    } else {
      failed(error);
    }
  } finally {
    if (running === mine) {
      running = null;
      $('stop').setAttribute('aria-disabled', 'true');
      document.body.classList.remove('busy');
    }
  }
}

// A button that starts something, and stops it while it runs.
function task(button, stopping, run) {
  const content = [...button.childNodes];
  let mine = null;
  button.addEventListener('click', () => {
    if (mine && running === mine) return running.abort();
    exclusively(async (signal) => {
      mine = running;
      button.replaceChildren(stopping);
      try {
        await run(signal);
      } finally {
        button.replaceChildren(...content);
      }
    });
  });
}

// ===== refusals =====

function refused(error, run) {
  if (error.status === 401) return askForKey(error, run);
  const [, field] = FIELDS.find(([pattern]) => pattern.test(error.param ?? '')) ?? [];
  const wait = error.retryAfter ? ` Try again in ${count(error.retryAfter, 'second')}.` : '';
  const message = `${error.message}${wait}`;
  const place = $(field ? `${field}-problem` : 'problem');
  place.textContent = message;
  place.hidden = false;
  if (field) $(field).setAttribute('aria-invalid', 'true');
  if (field) $(field).focus();
  announce(`No answer: ${message}`);
}

// A fault of the page itself is not hidden.
function failed(error) {
  refused(new Refused(0, { message: `this page failed: ${error.message}` }));
  throw error;
}

function clearProblems() {
  for (const place of document.querySelectorAll('.problem')) place.hidden = true;
  for (const field of document.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid');
}

// Without `run` it is the model's card that was asked for.
function askForKey(error, run) {
  again = run ?? null;
  $('key-form').hidden = false;
  $('key-problem').hidden = error.code !== 'invalid_api_key';
  $('key-problem').textContent = error.message;
  $('key').focus();
  announce(error.message);
}

$('key-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  key.set($('key').value.trim());
  $('key-form').hidden = true;
  $('run').focus();
  const wanted = again;
  again = null;
  if (!model) await load();
  if (wanted) exclusively(wanted);
});

// ===== settings =====

// Another question or number of thoughts: what is on show, or on its way, is not about it.
function questionChanged() {
  running?.abort();
  const { question, latent_steps: steps } = app.base();
  settings.q = question;
  $('steps-value').textContent = steps;
  if (last?.asked !== JSON.stringify(app.base())) {
    last = null;
    thoughts.clear(steps);
    graph.setThoughts([]);
  }
  graph.show(graphOf(question));
  choose(Math.min(settings.k, Math.max(1, steps)));
  compare.clear();
  change.clear();
  samples.clear();
  request.write(plainBody());
}

function showSettings() {
  $('question').value = settings.q;
  $('other').value = settings.other;
  $('steps').max = app.most();
  $('steps').value = settings.n;
  for (const name of NUMBERS) $(name).value = settings[name];
  $('ring').value = settings.ring;
  compare.bound();
}

function listen() {
  $('ask').addEventListener('submit', (event) => {
    event.preventDefault();
    exclusively(ask);
  });
  $('question').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('ask').requestSubmit();
  });
  $('stop').addEventListener('click', () => running?.abort());
  $('question').addEventListener('input', questionChanged);
  $('steps').addEventListener('input', () => {
    settings.n = Number($('steps').value);
    questionChanged();
  });
  $('other').addEventListener('input', () => {
    settings.other = $('other').value;
    change.clear();
    toAddress();
  });
  $('ring').addEventListener('change', () => {
    settings.ring = Number($('ring').value);
    choose(settings.k);
    graph.setThoughts(thoughts.all());
  });
  for (const name of NUMBERS) {
    $(name).addEventListener('input', () => {
      settings[name] = $(name).valueAsNumber || 0;
      if (name === 'alpha' || name === 'seed') change.clear();
      toAddress();
    });
  }
  addEventListener('hashchange', () => {
    fromAddress();
    if (model) begin();
  });
}

// ===== beginning =====

// The model's card; a server that is loading is asked again, whatever else goes on.
async function load() {
  try {
    model = await servedModel();
  } catch (error) {
    if (!(error instanceof Refused)) return failed(error);
    if (error.status !== 503) return refused(error);
    refused(new Refused(503, { message: `${error.message}; this page waits for it` }));
    return setTimeout(load, RETRY_MS);
  }
  clearProblems();
  return begin();
}

function begin() {
  const { about, examples, first, other } = examplesFor(model);
  setModelDefaults({ q: first?.question ?? '', n: model.coconut.default_latent_steps, other: other?.question ?? '' });
  $('about').textContent = about;
  $('about').hidden = !about;
  $('model').textContent = `${model.id}, ${weights(model.coconut.parameters)} weights`;
  $('examples').hidden = examples.length === 0;
  $('examples').replaceChildren(
    $('examples').querySelector('legend'),
    ...examples.map(({ name, question }) =>
      h(
        'button',
        {
          type: 'button',
          on: {
            click: () => {
              $('question').value = question;
              questionChanged();
            },
          },
        },
        name,
      ),
    ),
  );
  $('question').placeholder = 'Ask what the served model was trained on';
  showSettings();
  questionChanged();
}

const weights = (parameters) =>
  parameters >= 1e9 ? `${(parameters / 1e9).toFixed(1)} billion` : `${(parameters / 1e6).toFixed(1)} million`;

fromAddress();
$('question').value = settings.q ?? '';
listen();
load();
