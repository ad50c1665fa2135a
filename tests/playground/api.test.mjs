// What api.js makes of connections that break, by itself: no page, no browser, a server that hangs up when it is told to.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { after, before, test } from 'node:test';

const SCRIPT = new URL('../../src/http/playground/assets/api.js', import.meta.url);
const THOUGHT = 'event: thought\ndata: {"step":1}\n\n';
const DONE = 'event: done\ndata: {"answer":"a"}\n\n';

let api;
let server;
let answer;

before(async () => {
  server = http.createServer((request, response) => {
    request.resume();
    request.on('end', () => answer(response));
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // A page's own: where it comes from, and what its tab keeps.
  const { fetch } = globalThis;
  globalThis.fetch = (path, options) => fetch(`http://127.0.0.1:${server.address().port}/${path}`, options);
  globalThis.sessionStorage = { getItem: () => null };
  api = await import(`data:text/javascript,${encodeURIComponent(await readFile(SCRIPT, 'utf8'))}`);
});
after(() => {
  server.close();
  server.closeAllConnections();
});

const refusal = (message) => (error) => error instanceof api.Refused && error.status === 0 && error.message === message;
const BROKEN = 'the answer broke off';

test('a stream whose connection breaks is an answer that broke off', async () => {
  let response;
  answer = (begun) => {
    response = begun;
    response.write(THOUGHT);
  };
  const thoughts = [];
  const hangUp = (thought) => {
    thoughts.push(thought);
    response.destroy();
  };
  const asked = api.streamed({}, new AbortController().signal, { thought: hangUp });
  await assert.rejects(asked, refusal(BROKEN));
  assert.deepEqual(thoughts, [{ step: 1 }]);
});

test('a stream that ends without its last event is one, too', async () => {
  answer = (response) => response.end(THOUGHT);
  await assert.rejects(api.streamed({}, new AbortController().signal, {}), refusal(BROKEN));
});

test('so is a whole answer, or the model, of which a part came', async () => {
  answer = (response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('{"answer":', () => response.destroy());
  };
  await assert.rejects(api.whole({}, new AbortController().signal), refusal(BROKEN));
  await assert.rejects(api.servedModel(), refusal(BROKEN));
});

test('a stop stays a stop, before the answer and within it', async () => {
  for (const ask of [api.whole, (body, signal) => api.streamed(body, signal, {})]) {
    const controller = new AbortController();
    answer = () => controller.abort();
    await assert.rejects(ask({}, controller.signal), { name: 'AbortError' });
  }
  const controller = new AbortController();
  answer = (response) => response.write(THOUGHT);
  const stop = () => controller.abort();
  await assert.rejects(api.streamed({}, controller.signal, { thought: stop }), { name: 'AbortError' });
});

test('nobody there, and an answer', async () => {
  answer = (response) => response.destroy();
  await assert.rejects(api.whole({}, new AbortController().signal), refusal('the server cannot be reached'));
  answer = (response) => response.end(DONE);
  assert.deepEqual(await api.streamed({}, new AbortController().signal, {}), { answer: 'a' });
});
