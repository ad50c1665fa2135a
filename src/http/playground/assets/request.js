// The last request as programs would make it, its answer as a file, and where its time went. Knows JSON and two languages.

import { $, announce, count, h, number, table, unfold } from './dom.js';
import { key } from './api.js';

const PHASES = [
  ['queue_ms', 'waiting for a place'],
  ['prefill_ms', 'reading the question'],
  ['latent_ms', 'computing thoughts'],
  ['decode_ms', 'answering in words'],
];

export function requestPanel() {
  let answer = null;

  // What was asked, and what came back.
  function remember(body, result) {
    answer = result;
    $('download').setAttribute('aria-disabled', 'false');
    $('timings').replaceChildren(...timings(result));
    write(body);
  }

  function write(body) {
    const url = new URL('v1/reason', location.href).href;
    $('curl').textContent = curl(url, body);
    $('python').textContent = python(url, body);
  }

  $('download').addEventListener('click', () => {
    if (!answer) return announce('There is no answer yet.');
    const url = URL.createObjectURL(new Blob([JSON.stringify(answer, null, 2)], { type: 'application/json' }));
    h('a', { href: url, download: `${answer.id}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  });
  for (const button of document.querySelectorAll('[data-copies]')) {
    button.addEventListener('click', () => copy(button, $(button.dataset.copies).textContent));
  }
  $('link').addEventListener('click', () => copy($('link'), location.href));
  return { remember, write };
}

// Browsers give no clipboard to pages from other machines without TLS.
async function copy(button, text) {
  const said = button.textContent;
  const done = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  announce(done ? 'Copied.' : 'This browser gives pages like this one no clipboard: select and copy by hand.');
  button.textContent = done ? 'Copied' : 'No clipboard here';
  setTimeout(() => {
    button.textContent = said;
  }, 1500);
}

function timings({ timings: took, usage }) {
  const total = took.total_ms || 1;
  const bar = h(
    'div',
    { class: 'phases', 'aria-hidden': 'true' },
    PHASES.map(([field], at) => h('span', { class: `phase p${at}`, size: { '--share': took[field] / total } })),
  );
  const rows = PHASES.map(([field, name], at) => [
    h('span', {}, h('span', { class: `key p${at}`, 'aria-hidden': 'true' }), name),
    `${number(took[field], 1)} ms`,
  ]);
  const before = usage.cached_thoughts ? `, and ${count(usage.cached_thoughts, 'thought')} computed before` : '';
  const cached = usage.cached_positions
    ? ` An earlier question began like this one: ${count(usage.cached_positions, 'position')} read from memory${before}.`
    : '';
  return [
    bar,
    table(`${number(took.total_ms, 1)} ms on the server`, ['Phase', 'Time'], rows),
    h(
      'p',
      { class: 'soft', id: 'usage' },
      `${count(usage.prompt_tokens, 'token')} read, ${count(usage.latent_steps, 'thought')}, ` +
        `${count(usage.completion_tokens, 'token')} answered.${cached}`,
    ),
  ];
}

function curl(url, body) {
  const header = key.get() ? ' \\\n  -H "authorization: Bearer $COCONUT_API_KEY"' : '';
  const text = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl ${url} \\\n  -H 'content-type: application/json'${header} \\\n  -d '${text}'`;
}

// What a request says is the same in JSON and in Python: it has no true, false or null.
function python(url, body) {
  const keyed = Boolean(key.get());
  const authorization = keyed ? '\n        "authorization": f"Bearer {os.environ[\'COCONUT_API_KEY\']}",' : '';
  return `import json\n${keyed ? 'import os\n' : ''}import urllib.request

question = ${JSON.stringify(body, null, 4)}
request = urllib.request.Request(
    ${JSON.stringify(url)},
    data=json.dumps(question).encode(),
    headers={
        "content-type": "application/json",${authorization}
    },
)
with urllib.request.urlopen(request) as response:
    print(json.load(response)["answer"])
`;
}
