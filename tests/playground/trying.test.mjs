// Sweep, interventions, samples, the request as programs make it, and a model that is asked other things.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ask, finish, gate, launch, ready, serve } from './support.mjs';

const run = promisify(execFile);

let browser;
let server;
let through;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve()]);
  through = await gate(server);
});
after(async () => {
  await browser?.close();
  await through?.close();
  await server?.stop();
});

test('one sweep answers after every number of thoughts', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  const before = through.asked().length;
  await page.click('#compare-run');
  await page.waitForSelector('.cards li:nth-child(9)');
  const asked = through.asked().slice(before);
  assert.deepEqual(
    asked.map(({ body }) => body.sweep),
    [[0, 1, 2, 3, 4, 5, 6, 7, 8]],
  );
  const answers = await page.locator('.card .said').allTextContents();
  assert.equal(answers[0], 'Bob is a impus.');
  assert.equal(answers[6], 'Polly is a kerpus.');
  assert.deepEqual(await page.locator('.card.wrong .step').allTextContents(), [
    '0 thoughts',
    '1 thought',
    '2 thoughts',
    '3 thoughts',
  ]);
  const summary = await page.textContent('#compare-result .verdict');
  assert.match(summary, /after 4, 5, 6, 7, 8 thoughts: 5 of 9/);
  assert.equal(await page.textContent('#live'), summary);
  await page.click('#examples button:has-text("9 facts")');
  assert.equal(await page.locator('.card').count(), 0, 'what is about another question goes');
  await finish(opened);
});

test('a click changes a thought, and the page says whether the answer changes', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await ask(page);
  await page.click('[data-cell="zero-3"]');
  await page.waitForSelector('.sides');
  assert.match(
    await page.textContent('#change-result .verdict'),
    /^The answer changes: “Polly is a kerpus\.” becomes “Polly is a impus\.”\.$/,
  );
  assert.deepEqual(await page.locator('.sides > article > .said').allTextContents(), [
    'Polly is a kerpus.',
    'Polly is a impus.',
  ]);
  assert.match(await page.textContent('.thought.changed'), /replaced by zeros/);
  assert.match(await page.getAttribute('[data-cell="zero-3"]', 'aria-label'), /the answer changes$/);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.cell), 'zero-3', 'the focus stays');

  await page.click('[data-cell="skip-6"]');
  await page.waitForFunction(() =>
    /does not change/.test(document.querySelector('#change-result .verdict').textContent),
  );
  assert.equal(await page.textContent('#live'), await page.textContent('#change-result .verdict'));

  assert.equal(await page.textContent('.thought.changed'), '6 left out');

  await page.click('[data-cell="copy-1"]');
  await page.waitForFunction(() => document.querySelector('.thought.changed')?.textContent.includes('another thought'));
  const { body } = through.asked().at(-1);
  assert.equal(body.interventions[0].from.question, await page.inputValue('#other'));

  await page.click('[data-cell="none-0"]');
  await page.waitForFunction(() =>
    /^In the places of all thoughts: nothing/.test(document.querySelectorAll('.sides h3')[1].textContent),
  );
  assert.equal(through.asked().at(-1).body.feedback, 'none');
  assert.match(await page.textContent('.sides'), /No thought was computed/);
  await finish(opened);
});

test('every change is tried at once', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await page.click('#change-all');
  await page.waitForFunction(() =>
    / of 39 changes/.test(document.querySelector('#change-result .verdict')?.textContent),
  );
  const cells = await page.locator('[data-cell]').allTextContents();
  assert.equal(cells.length, 39);
  assert.ok(cells.every((cell) => /[=≠]$/.test(cell)) && cells.includes('≠'));
  await page.fill('#alpha', '3');
  assert.ok(
    (await page.locator('[data-cell]').allTextContents()).every((cell) => cell.endsWith('·')),
    'other noise, other answers',
  );
  await finish(opened);
});

test('with no thoughts the answer comes at once and there is none to change', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await page.fill('#steps', '0');
  await ask(page);
  assert.equal(await page.textContent('.answer > .said'), 'Bob is a impus.');
  assert.match(await page.textContent('#answer .verdict'), /does not follow/);
  assert.match(await page.textContent('#change-matrix'), /there is none to change/);
  await finish(opened);
});

test('samples and their vote, the same from the same seed', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  const draw = async () => {
    await page.click('#samples-run');
    await page.waitForSelector('.votes li');
    return page.locator('.votes .gauge').allTextContents();
  };
  const votes = await draw();
  assert.equal(
    votes.reduce((sum, text) => sum + Number(/(\d+) of 16$/.exec(text)[1]), 0),
    16,
  );
  assert.ok(votes.length > 1, 'so much noise gives more than one answer');
  assert.match(
    await page.textContent('#samples-result .verdict'),
    /^The vote is “Polly is a kerpus\.”, by \d+ of 16 samples\./,
  );
  assert.deepEqual(await draw(), votes);
  await page.fill('#noise', '0');
  await page.click('#samples-run');
  await page.waitForFunction(() => /16 of 16/.test(document.querySelector('#samples-result .verdict').textContent));
  await finish(opened);
});

test('the request runs as curl and as Python, and its answer is a file', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await ask(page);
  const { stdout: curled } = await run('bash', ['-c', await page.textContent('#curl')]);
  assert.equal(JSON.parse(curled).answer, 'Polly is a kerpus.');
  const { stdout: printed } = await run('python3', ['-c', await page.textContent('#python')]);
  assert.equal(printed.trim(), 'Polly is a kerpus.');

  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
  const file = JSON.parse(await readFile(await download.path(), 'utf8'));
  assert.equal(file.thoughts.length, 6);
  assert.equal(download.suggestedFilename(), `${file.id}.json`);

  assert.deepEqual(await page.locator('#timings tbody tr th').allTextContents(), [
    'waiting for a place',
    'reading the question',
    'computing thoughts',
    'answering in words',
  ]);
  assert.match(await page.textContent('#usage'), /^66 tokens read, 6 thoughts, 5 tokens answered\./);
  await ask(page);
  const known = /\d+ positions read from memory/;
  await page.waitForFunction((pattern) => pattern.test(document.getElementById('usage').textContent), known);
  await finish(opened);
});

test('quotation marks in a question do not break the commands', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await page.fill('#question', `Tom's "wumpus" is a \\ \`lempus\` $HOME?`);
  await ask(page);
  await run('bash', ['-c', await page.textContent('#curl')]);
  assert.deepEqual(through.asked().at(-1).body.question, await page.inputValue('#question'));
  await run('python3', ['-c', await page.textContent('#python')]);
  assert.deepEqual(through.asked().at(-1).body.question, await page.inputValue('#question'));
  await finish(opened);
});

test('another model has no riddles and no graph, and is asked all the same', async () => {
  const other = await serve('--model', 'tests/data/codi-gpt2');
  const before = await gate(other);
  const opened = await ready(browser, before.url);
  const { page } = opened;
  assert.match(await page.inputValue('#question'), /baker/);
  assert.equal(await page.locator('#graph').isVisible(), false);
  await ask(page);
  assert.equal(await page.locator('label.thought').count(), Number(await page.inputValue('#steps')));
  assert.equal(await page.locator('#graph').isVisible(), false);
  await finish(opened);
  await before.close();
  await other.stop();
});

test('a model of which nothing is known begins with an empty box', async () => {
  const other = await serve('--model', 'tests/data/coconut-gpt2-hf', '--model-name', 'mine');
  const before = await gate(other);
  const opened = await ready(browser, before.url);
  const { page } = opened;
  assert.equal(await page.inputValue('#question'), '');
  assert.notEqual(await page.getAttribute('#question', 'placeholder'), null);
  assert.equal(await page.locator('#examples').isVisible(), false);
  await finish(opened);
  await before.close();
  await other.stop();
});
