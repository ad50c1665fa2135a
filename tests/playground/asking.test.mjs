// Load, ask, stream, stop, refusals, keys, the address: what the page does with one question.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { ask, finish, gate, launch, open, ready, serve, serveLoading } from './support.mjs';

const ANSWER = 'Polly is a kerpus.';
const REFUSED = /Failed to load resource: the server responded with a status of (401|422)/;

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

const live = (page) => page.textContent('#live');

test('the first screen has a question ready and says what a continuous thought is', async () => {
  const opened = await ready(browser, through.url);
  const { page, account } = opened;
  assert.match(await page.title(), /continuous thoughts/);
  assert.match(await page.inputValue('#question'), /^Every .* Is Polly a impus or kerpus\?$/);
  assert.match(await page.textContent('#model'), /^prosqa, 1\.4 million weights$/);
  assert.equal(await page.inputValue('#steps'), '6');
  const lead = await page.textContent('.lead');
  assert.match(lead, /hidden\s+state/);
  assert.equal(lead.match(/\.(\s|$)/g).length, 2, 'two sentences');
  for (const seen of ['#question', '#run', '.lead']) {
    const box = await page.locator(seen).boundingBox();
    assert.ok(box.y + box.height <= 860, `${seen} is on the first screen`);
  }
  assert.equal(new URL(page.url()).hash, '', 'nothing is set yet');
  const sizes = await Promise.all(account.bytes.values());
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total > 20_000 && total < 100_000, `${total} bytes`);
  await finish(opened);
});

test('thoughts fill in while they come, then the answer', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  const held = through.hold();
  await page.click('#run');
  await held.pending.promise;
  assert.equal(await page.locator('.waiting').count(), 6);
  for (const shown of [1, 2, 3]) {
    held.pass(1);
    await page.waitForFunction((n) => document.querySelectorAll('label.thought').length === n, shown);
    assert.equal(await page.locator('.waiting').count(), 6 - shown);
    assert.equal(await page.locator('#answer').textContent(), '');
  }
  assert.match(await page.textContent('label.thought:nth-of-type(2)'), /wumpus.*brimpus/);
  assert.notEqual(await page.textContent('#mass'), '', 'the graph fills too');
  held.pass(3 + 2);
  await page.waitForSelector('.token:nth-child(2)');
  assert.equal(await page.textContent('.answer > .said'), 'Polly');
  held.pass(held.events.length);
  await page.waitForSelector('#answer .verdict');
  assert.equal(await page.textContent('.answer > .said'), ANSWER);
  assert.equal(await page.textContent('#answer .verdict'), 'It follows from the sentences.');
  assert.match(await live(page), /^6 thoughts\. Answer: Polly is a kerpus\./);
  assert.equal(await page.locator('.line').count(), 3);
  assert.equal(await page.locator('#thoughts-table tbody tr').count(), 6);
  through.set('open');
  await finish(opened);
});

test('a chosen thought shows on the graph: what is read, and what is true', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await ask(page);
  await page.locator('input[name=step][value="4"]').check();
  assert.equal(await page.inputValue('#scrub'), '4');
  assert.match(await page.textContent('#ring-says'), /^Ring: .*: 4 nodes, exactly 3 arrows from Polly\.$/);
  const rings = await page.locator('.node.ring .word').allTextContents();
  assert.deepEqual(rings.sort(), ['hilpus', 'quimpus', 'sterpus', 'wumpus']);
  const shares = await page.locator('#mass dd').allTextContents();
  assert.equal(shares.length, 3);
  assert.ok(parseInt(shares[0], 10) > 90, `on the ring: ${shares[0]}`);
  await page.selectOption('#ring', '0');
  assert.match(await page.textContent('#ring-says'), /exactly 4 arrows/);
  assert.ok(parseInt(await page.textContent('#mass dd'), 10) < 60, 'another ring has less');
  assert.equal(await page.locator('.edge').count(), 14);
  assert.match(await page.getAttribute('#picture svg', 'aria-label'), /It follows that Polly is a kerpus\./);
  await page.click('#graph-table summary');
  assert.equal(await page.locator('#graph-table tbody tr').count(), 13);
  await finish(opened);
});

test('play goes through the thoughts and ends at the last', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await ask(page);
  await page.clock.install();
  await page.click('#play');
  assert.equal(await page.textContent('#play'), 'Pause');
  await page.clock.runFor(2300);
  assert.equal(await page.textContent('#scrub-value'), '3');
  await page.clock.runFor(20_000);
  assert.equal(await page.textContent('#scrub-value'), '6');
  assert.equal(await page.textContent('#play'), 'Play');
  await finish(opened);
});

test('stop ends the request and the page goes on', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  const held = through.hold();
  await page.click('#run');
  await held.pending.promise;
  held.pass(2);
  await page.waitForSelector('label.thought:nth-of-type(2)');
  assert.equal(await page.getAttribute('#stop', 'aria-disabled'), 'false');
  await page.click('#stop');
  await held.gone;
  await page.waitForFunction(() => document.getElementById('live').textContent === 'Stopped.');
  assert.equal(await page.getAttribute('#stop', 'aria-disabled'), 'true');
  through.set('open');
  await ask(page);
  assert.equal(await page.textContent('.answer > .said'), ANSWER);
  await finish(opened);
});

test('another question takes the place of the one that runs', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  const held = through.hold();
  await page.click('#run');
  await held.pending.promise;
  through.set('open');
  await page.click('#examples button:has-text("9 facts")');
  await ask(page);
  await held.gone;
  assert.equal(await page.textContent('.answer > .said'), 'Tom is a worpus.');
  await finish(opened);
});

test('a refusal stands at the field that is to blame', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await page.fill('#question', '');
  await page.click('#run');
  await page.waitForSelector('#question-problem:visible');
  assert.match(await page.textContent('#question-problem'), /^question: /);
  assert.equal(await page.getAttribute('#question', 'aria-invalid'), 'true');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'question');
  assert.match(await live(page), /^No answer: question: /);
  await page.fill('#question', 'Tom is a wumpus. Is Tom a wumpus or lempus?');
  await page.fill('#samples', '0');
  await page.click('#samples-run');
  await page.waitForSelector('#samples-problem:visible');
  assert.match(await page.textContent('#samples-problem'), /^n: /);
  assert.equal(await page.locator('.problem:visible').count(), 1, 'the earlier one is gone');
  await page.fill('#samples', '2');
  await page.fill('#temperature', '7');
  await page.click('#samples-run');
  await page.waitForSelector('#temperature-problem:visible');
  await finish(opened, REFUSED);
});

test('words that the model does not know are warned of', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await page.fill('#question', 'Why is the sky blue?');
  await ask(page);
  await page.waitForSelector('#warning:visible');
  assert.match(await page.textContent('#warning'), /vocabulary/);
  assert.equal(await page.locator('#graph').isVisible(), false, 'no graph, no picture of one');
  await finish(opened);
});

test('a server that is gone is called that', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  through.set('shut');
  await page.click('#run');
  await page.waitForSelector('#problem:visible');
  assert.match(await page.textContent('#problem'), /cannot be reached/);
  through.set('open');
  await ask(page);
  assert.equal(await page.locator('#problem').isVisible(), false);
  await finish(opened, /Failed to load resource: net::ERR_/);
});

test('a key is asked for once it is needed, and kept in the tab only', async () => {
  const keyed = await serve('--api-keys', 'open sesame');
  const before = await gate(keyed);
  const opened = await open(browser, before.url);
  const { page } = opened;
  await page.waitForSelector('#key-form:visible');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'key');
  await page.fill('#key', 'guess');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#key-problem:visible');
  assert.match(await page.textContent('#key-problem'), /not valid/);
  await page.fill('#key', 'open sesame');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('model').textContent !== '');
  assert.equal(await page.locator('#key-form').isVisible(), false);
  await ask(page);
  assert.equal(before.asked().at(-1).headers.authorization, 'Bearer open sesame');
  assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie]), [0, '']);
  assert.equal(page.url().includes('sesame'), false);
  assert.match(await page.textContent('#curl'), /Bearer \$COCONUT_API_KEY/);
  await page.reload();
  await page.waitForFunction(() => document.getElementById('model').textContent !== '');
  await finish(opened, REFUSED);
  await before.close();
  await keyed.stop();
});

test('a page that is open while the model is loaded goes on by itself', async () => {
  // A hub that takes questions and never answers.
  const hub = http.createServer(() => {});
  await new Promise((resolve) => {
    hub.listen(0, '127.0.0.1', resolve);
  });
  const loading = await serveLoading(
    '--model',
    'someone/something',
    '--hf-endpoint',
    `http://127.0.0.1:${hub.address().port}`,
  );
  const before = await gate(loading);
  const opened = await open(browser, before.url);
  const { page } = opened;
  await page.waitForSelector('#problem:visible');
  assert.match(await page.textContent('#problem'), /being loaded; this page waits/);
  before.lead(server);
  await page.waitForFunction(() => document.getElementById('model').textContent !== '');
  assert.equal(await page.locator('#problem').isVisible(), false);
  await ask(page);
  await finish(opened, /status of 503/);
  await before.close();
  hub.closeAllConnections();
  hub.close();
  await loading.stop();
});

test('the address says the state, and a link shows it again', async () => {
  const opened = await ready(browser, through.url);
  const { page } = opened;
  await page.click('#examples button:has-text("33 facts")');
  await page.fill('#steps', '5');
  await ask(page);
  await page.locator('input[name=step][value="3"]').check();
  await page.fill('#noise', '0.7');
  await page.click('[data-cell="zero-2"]');
  await page.waitForSelector('.sides');
  const [link, verdict] = [page.url(), await page.textContent('#change-result .verdict')];
  await page.click('#link');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
  const question = await page.inputValue('#question');
  await finish(opened);

  const again = await ready(browser, link);
  assert.equal(await again.page.inputValue('#question'), question);
  assert.equal(await again.page.inputValue('#steps'), '5');
  assert.equal(await again.page.inputValue('#noise'), '0.7');
  await ask(again.page);
  await again.page.waitForSelector('.sides');
  assert.equal(await again.page.inputValue('#scrub'), '3');
  assert.equal(await again.page.textContent('#change-result .verdict'), verdict);
  await finish(again);
});
