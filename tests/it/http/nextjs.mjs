// Calls the route handlers of scripts/nextjs as Next.js would, in plain node: the customers of one app
// against a real server. Run by nextjs.rs; ends with an error at the first thing that is not as it should be.

import assert from 'node:assert/strict';
import { register } from 'node:module';
import { pathToFileURL } from 'node:url';

const APP = pathToFileURL(`${process.argv[2]}/`).href;
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 100;

// What Next.js does by itself: files are modules, and "@/" is the app. The app's own session is ours to say.
const hooks = `
  export const resolve = (name, context, next) => {
    if (name === '@/lib/db/queries') return { url: 'app:queries', shortCircuit: true };
    return name.startsWith('@/') ? next('${APP}' + name.slice(2) + '.js', context) : next(name, context);
  };
  export const load = (url, context, next) => {
    const source = 'export const getTeamForUser = async () => globalThis.team;';
    if (url === 'app:queries') return { format: 'module', source, shortCircuit: true };
    return next(url, url.startsWith('${APP}') ? { ...context, format: 'module' } : context);
  };`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

const route = (path) => import(`${APP}app/api/${path}/route.js`);
const [generations, status, download, retry, cancel] = await Promise.all([
  route('products/[productId]/variants/[variantId]/generations'),
  route('generations/[jobId]'),
  route('generations/[jobId]/download'),
  route('generations/[jobId]/retry'),
  route('generations/[jobId]/cancel'),
]);

const signIn = (id) => (globalThis.team = id === null ? null : { id });

function call(handler, params, init = {}) {
  const { method = 'GET' } = init;
  const request = new Request('https://app.example.com/', { ...init, method });
  return handler[method](request, { params: Promise.resolve(params) });
}

function enqueue(body, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return call(generations, { productId: '3', variantId: '4' }, { method: 'POST', body: text, headers });
}

async function expect(promise, code) {
  const response = await promise;
  const text = await response.text();
  assert.equal(response.status, code, text);
  return JSON.parse(text);
}

async function until(jobId, word) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const job = await expect(call(status, { jobId }), 200);
    if (job.job.status === word) return job;
    assert.ok(Date.now() < deadline, `after ${PATIENCE_MS} ms: ${JSON.stringify(job)}`);
    await new Promise((wake) => setTimeout(wake, LOOK_EVERY_MS));
  }
}

const ACTIONS = [
  [status, 'GET'],
  [download, 'GET'],
  [retry, 'POST'],
  [cancel, 'POST'],
];

// Nobody is signed in.
signIn(null);
await expect(enqueue({ prompt: 'a lake' }), 401);
for (const [handler, method] of ACTIONS) await expect(call(handler, { jobId: '1' }, { method }), 401);

// Team 7 enqueues, twice by mistake, and says that it is team 8.
signIn(7);
const wishes = { prompt: 'a lake', numImages: 2, teamId: 8, userId: 5, priority: 'urgent' };
const once = { 'idempotency-key': 'order-1', 'x-request-id': 'request-1' };
const accepted = await expect(enqueue(wishes, once), 202);
const again = await expect(enqueue(wishes, once), 202);
assert.equal(again.jobId, accepted.jobId);
assert.equal(accepted.job.status, 'queued');
await expect(enqueue('no json'), 400);
await expect(enqueue('null'), 400);
assert.equal((await expect(enqueue({}), 400)).code, 'invalid_request');

// It polls until the photos are there.
const done = await until(accepted.jobId, 'success');
assert.equal(done.images.length, 2);
assert.equal(done.teamId, '7');
assert.equal(done.priority, 'normal');
assert.equal(done.requestId, 'request-1');
assert.deepEqual(done.metadata, { productId: '3', variantId: '4' });

// By its number, too, it downloads them.
const zip = await call(download, { jobId: String(done.id) });
assert.equal(zip.status, 200);
assert.equal(zip.headers.get('content-type'), 'application/zip');
assert.match(zip.headers.get('content-disposition'), /^attachment; filename="generation-\d+-\d+\.zip"$/);
const bytes = Buffer.from(await zip.arrayBuffer());
assert.equal(bytes.subarray(0, 4).toString('latin1'), 'PK\x03\x04');
assert.equal(bytes.length, done.zipBytes);
assert.equal((await expect(call(retry, { jobId: done.jobId }, { method: 'POST' }), 400)).code, 'not_retryable');
assert.equal((await expect(call(cancel, { jobId: done.jobId }, { method: 'POST' }), 409)).code, 'already_ended');

// One fails, one never ends.
const refused = await expect(enqueue({ prompt: 'a lake [sim:blocked]', numImages: 1 }), 202);
await until(refused.jobId, 'failed');
const retried = await expect(call(retry, { jobId: refused.jobId }, { method: 'POST' }), 201);
assert.equal(retried.originalJobId, refused.jobId);
assert.notEqual(retried.jobId, refused.jobId);
const endless = await expect(enqueue({ prompt: 'a lake [sim:hang]', numImages: 1 }), 202);

// None of it is there for team 8, nor for a team without an id.
for (const id of [8, '', 'null', null]) {
  globalThis.team = { id };
  for (const { jobId } of [accepted, refused, retried, endless]) {
    for (const [handler, method] of ACTIONS) {
      assert.equal((await expect(call(handler, { jobId }, { method }), 404)).code, 'not_found');
    }
  }
}

signIn(7);
const canceled = await expect(call(cancel, { jobId: endless.jobId }, { method: 'POST' }), 200);
assert.equal(canceled.job.status, 'canceled');

// What stands in a path leads nowhere but to jobs: with this key all else would be open.
for (const jobId of ['..', '../tick', '?', '', `?ids=${done.id}`, '1/../2', `${done.id}?a=`, 'a'.repeat(5000)]) {
  for (const [handler, method] of ACTIONS) await expect(call(handler, { jobId }, { method }), 404);
}

// A customer is not told that the app's own key is wrong, nor where safelight is.
console.error = () => {};
const key = process.env.SAFELIGHT_KEY;
process.env.SAFELIGHT_KEY = 'wrong';
await expect(call(status, { jobId: done.jobId }), 502);
await expect(enqueue(wishes), 502);
process.env.SAFELIGHT_KEY = key;
process.env.SAFELIGHT_URL = 'http://127.0.0.1:1';
const away = await expect(call(status, { jobId: done.jobId }), 502);
assert.doesNotMatch(JSON.stringify(away), /127\.0\.0\.1/);
