// What the tests stand on: servers, a gate before them through which events pass one by one, and pages that keep an account
// of what they load, say and fail at. Knows no test.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.env.MODULES}/package.json`);
const { chromium } = require('playwright-core');
const { AxeBuilder } = require('@axe-core/playwright');

// A server that answers, at a port of its own.
export const serve = (...flags) => start(/ ready/, flags);

// One that has begun, and may be loading for ever.
export const serveLoading = (...flags) => start(/ listening/, flags);

async function start(until, flags) {
  const words = ['serve', '--listen', '127.0.0.1:0', '--drain-delay', '0', ...flags];
  const child = spawn(process.env.COCONUT, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  process.once('exit', () => child.kill());
  const ended = once(child, 'exit').then(() => {
    throw new Error(`the server ended: ${words.join(' ')}`);
  });
  ended.catch(() => {});
  let address;
  const ready = (async () => {
    for await (const line of createInterface({ input: child.stderr })) {
      address ??= /address=(\S+)/.exec(line.replaceAll(/\x1b\[[0-9;]*m/g, ''))?.[1];
      if (until.test(line)) return;
    }
  })();
  await Promise.race([ready, ended]);
  child.stderr.resume();
  const stop = async () => {
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  };
  return { address, stop };
}

// A proxy before a server. While it holds, the events of a stream pass only when a test lets one through; while it is shut, it
// hangs up.
export async function gate(server) {
  const state = { server, mode: 'open', held: null, seen: [] };
  const listener = http.createServer((request, response) => {
    if (state.mode === 'shut') return request.socket.destroy();
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      state.seen.push({ path: request.url, headers: request.headers, body: body.length ? JSON.parse(body) : null });
      const { method, url: path, headers } = request;
      const [host, port] = state.server.address.split(':');
      const upstream = http.request({ host, port, method, path, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        const stream = answer.headers['content-type'] === 'text/event-stream';
        if (state.mode === 'held' && stream) hold(state, answer, response);
        else answer.pipe(response);
      });
      upstream.on('error', () => response.destroy());
      response.on('close', () => upstream.destroy());
      upstream.end(body);
    });
  });
  await new Promise((resolve) => {
    listener.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${listener.address().port}/`,
    // The questions that came through, in order.
    asked: () => state.seen.filter(({ path }) => path === '/v1/reason'),
    set: (mode) => {
      state.mode = mode;
    },
    // From now on before another server.
    lead: (to) => {
      state.server = to;
    },
    hold() {
      state.mode = 'held';
      state.held = { pending: Promise.withResolvers?.() ?? deferred() };
      return state.held;
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(resolve);
        listener.closeAllConnections();
      }),
  };
}

function deferred() {
  const promise = {};
  promise.promise = new Promise((resolve, reject) => Object.assign(promise, { resolve, reject }));
  return promise;
}

// The stream's events wait in `held.events`; `held.pass(n)` lets some through, `held.gone` resolves when the client leaves.
async function hold(state, answer, response) {
  const held = state.held;
  held.gone = once(response, 'close');
  response.flushHeaders();
  let text = '';
  for await (const chunk of answer) text += chunk;
  held.events = text
    .split('\n\n')
    .filter(Boolean)
    .map((event) => `${event}\n\n`);
  held.pass = (n) => {
    response.write(held.events.splice(0, n).join(''));
    if (held.events.length === 0) response.end();
  };
  held.pending.resolve();
}

export async function launch() {
  // No sandbox: as root Chromium does not start with one.
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
}

// A page, and an account of it.
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    reducedMotion: 'reduce',
    ...options,
  });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const account = { problems: [], elsewhere: [], bytes: new Map() };
  page.on('pageerror', (error) => account.problems.push(error.stack));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) account.problems.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !request.url().startsWith('blob:'))
      account.elsewhere.push(request.url());
  });
  page.on('response', (response) => {
    const path = new URL(response.url()).pathname;
    if (!path.startsWith('/v1'))
      account.bytes.set(
        path,
        response.body().then(
          (body) => body.length,
          () => 0,
        ),
      );
  });
  await page.goto(url);
  return { page, context, account };
}

// The page with its model known, and a question in it.
export async function ready(browser, url, options) {
  const opened = await open(browser, url, options);
  await opened.page.waitForFunction(() => document.getElementById('model').textContent !== '');
  return opened;
}

export async function ask(page) {
  await page.click('#run');
  await page.waitForSelector('#answer .verdict, #answer:has(.soft) .said');
}

// Closes the page. Nothing may have gone wrong but what a test names, and nothing may have been asked of another host.
export async function finish({ context, account }, ...expected) {
  await context.close();
  const unexpected = account.problems.filter((problem) => !expected.some((pattern) => pattern.test(problem)));
  assert.deepEqual(unexpected, []);
  assert.deepEqual(account.elsewhere, []);
}

// Everything that axe knows, on the page as it stands, with all tables open.
export async function accessible(page) {
  await page.evaluate(() => {
    for (const details of document.querySelectorAll('details')) details.open = true;
  });
  const { violations } = await new AxeBuilder({ page }).analyze();
  const told = violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`,
  );
  assert.deepEqual(told, []);
}
