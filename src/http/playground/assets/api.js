// The server: questions as JSON, answers whole or as events, refusals with the field that is to blame. Knows no element.

const KEY = 'coconut-key';

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? '',
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

// Why there is no answer. `status` is 0 where the server was not reached.
export class Refused extends Error {
  constructor(status, { message, param, code }, retryAfter) {
    super(message);
    Object.assign(this, { status, param, code, retryAfter });
  }
}

// What comes over the connection, or why it did not: a stop is the page's own, everything else the connection's.
async function arrived(coming, message = 'the answer broke off') {
  try {
    return await coming;
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused(0, { message });
  }
}

async function send(path, options) {
  const headers = { ...options.headers };
  if (key.get()) headers.authorization = `Bearer ${key.get()}`;
  const response = await arrived(fetch(path, { ...options, headers }), 'the server cannot be reached');
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  const error = body?.error ?? { message: `the server answered with status ${response.status}` };
  throw new Refused(response.status, error, Number(response.headers.get('retry-after')) || undefined);
}

function post(body, signal) {
  const headers = { 'content-type': 'application/json' };
  return send('v1/reason', { method: 'POST', headers, body: JSON.stringify(body), signal });
}

export async function servedModel() {
  const response = await send('v1/models', {});
  const list = await arrived(response.json());
  return list.data[0];
}

export async function whole(body, signal) {
  const response = await post(body, signal);
  return arrived(response.json());
}

// Calls `on[event](data)` for each event, and returns what `done` brought.
export async function streamed(body, signal, on) {
  const response = await post({ ...body, stream: true }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await arrived(reader.read());
    if (done) throw new Refused(0, { message: 'the answer broke off' });
    text += value;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const { event, data } of blocks.map(parsed)) {
      if (event === 'error') throw new Refused(response.status, data.error);
      if (event === 'done') return data;
      if (event) on[event]?.(data);
    }
  }
}

// Comments, which keep the connection alive, have neither field.
function parsed(block) {
  const field = (name) =>
    block
      .split('\n')
      .find((line) => line.startsWith(name))
      ?.slice(name.length)
      .trim();
  const [event, data] = [field('event:'), field('data:')];
  return event && data ? { event, data: JSON.parse(data) } : {};
}
