// Narrow screens, keyboard only, what axe finds in light, dark and small, motion, forced colours; and the README's pictures.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessible, ask, finish, launch, ready, serve } from './support.mjs';

let browser;
let server;
let url;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve()]);
  url = `http://${server.address}/`;
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// Everything that the page can show, shown.
async function everything(page) {
  await ask(page);
  await page.locator('input[name=step][value="4"]').check();
  await page.click('#compare-run');
  await page.waitForSelector('.cards li:nth-child(9)');
  await page.click('[data-cell="zero-4"]');
  await page.waitForSelector('.sides');
  await page.click('#samples-run');
  await page.waitForSelector('.votes li');
}

const LOOKS = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  'small, light': { colorScheme: 'light', viewport: { width: 320, height: 640 } },
  'small, dark': { colorScheme: 'dark', viewport: { width: 320, height: 640 } },
  'forced colours': { forcedColors: 'active' },
};

for (const [name, look] of Object.entries(LOOKS)) {
  test(`axe finds nothing: ${name}`, async () => {
    const opened = await ready(browser, url, look);
    await accessible(opened.page);
    await everything(opened.page);
    await accessible(opened.page);
    await finish(opened);
  });
}

test('a refusal and the question for a key pass axe too', async () => {
  const opened = await ready(browser, url);
  await opened.page.fill('#question', '');
  await opened.page.click('#run');
  await opened.page.waitForSelector('#question-problem:visible');
  await opened.page.evaluate(() => {
    document.getElementById('key-form').hidden = false;
  });
  await accessible(opened.page);
  await finish(opened, /Failed to load resource/);
});

for (const width of [320, 390, 768, 1920]) {
  test(`nothing sticks out at ${width} pixels`, async () => {
    const opened = await ready(browser, url, { viewport: { width, height: 700 } });
    const { page } = opened;
    await everything(page);
    await page.evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true;
    });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll('#thought-list .name, .sides .name')]
        .filter((name) => name.scrollWidth > name.clientWidth && !name.textContent.startsWith('<|'))
        .map((name) => name.textContent),
    );
    assert.deepEqual(cut, [], 'words of thoughts are whole');
    await finish(opened);
  });
}

test('the keyboard is enough', async () => {
  const opened = await ready(browser, url);
  const { page } = opened;
  const reach = async (wanted) => {
    for (let presses = 0; presses < 80; presses += 1) {
      await page.keyboard.press('Tab');
      const outline = await page.evaluate((selector) => {
        const now = document.activeElement;
        return now.matches(selector) && getComputedStyle(now.closest('.thought') ?? now).outlineStyle;
      }, wanted);
      if (outline) return assert.notEqual(outline, 'none', `${wanted}: the focus is seen`);
    }
    return assert.fail(`Tab does not come to ${wanted}`);
  };
  await reach('#steps');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await page.textContent('#steps-value'), '5');
  await reach('#run');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#answer .verdict');
  await reach('input[name=step]');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.textContent('#scrub-value'), '3');
  await reach('#thoughts-table summary');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#thoughts-table table').isVisible(), true);
  await reach('#scrub');
  await page.keyboard.press('End');
  assert.equal(await page.evaluate(() => document.querySelector('input[name=step]:checked').value), '5');
  await reach('#compare-run');
  await page.keyboard.press('Space');
  await page.waitForSelector('.cards li:nth-child(9)');
  await reach('[data-cell="zero-3"]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.sides');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.cell), 'zero-3');
  await reach('#samples-run');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.votes li');
  await page.focus('#question');
  await page.keyboard.press('Control+Enter');
  await page.waitForFunction(() => /^5 thoughts\. Answer/.test(document.getElementById('live').textContent));
  await finish(opened);
});

test('nothing moves for those who want no motion', async () => {
  const opened = await ready(browser, url, { reducedMotion: 'reduce' });
  await opened.page.click('#run');
  await opened.page.waitForSelector('label.thought');
  assert.equal(await opened.page.evaluate(() => document.getAnimations().length), 0);
  await finish(opened);
});

test('pictures for the README', { skip: !process.env.PICTURES }, async () => {
  const opened = await ready(browser, url, { viewport: { width: 1180, height: 900 } });
  const { page } = opened;
  await page.click('#examples button:has-text("33 facts")');
  await ask(page);
  await page.locator('input[name=step][value="4"]').check();
  await page.evaluate(() => document.activeElement.blur());
  const section = async (id) => {
    const { y, height } = await page.locator(id).boundingBox();
    return { from: y + (await page.evaluate(() => scrollY)), to: y + height + (await page.evaluate(() => scrollY)) };
  };
  const take = (name, from, to) =>
    page.screenshot({
      path: `${process.env.PICTURES}/${name}.png`,
      fullPage: true,
      clip: { x: 0, y: from, width: 1180, height: to - from },
    });
  const [answer, graph, details] = [await section('#answer'), await section('#graph'), await section('#graph-table')];
  await take('playground', 0, answer.to + 16);
  await take('playground-graph', graph.from + 8, details.from);
  await finish(opened);
});
