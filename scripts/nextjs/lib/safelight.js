// Asks safelight for your app's customers. Copy lib/ and app/ into a Next.js app (App Router) and set
// SAFELIGHT_URL=http://127.0.0.1:8088 and SAFELIGHT_KEY, a key of: safelight keys create --service
//
// A service key opens everybody's jobs, so it stays in this file, and a route cannot forget whose job it
// is: `enqueue` names the team, and `withJob` hands over a job only after it has compared the team. What
// a route then does with the job, it does with the job's own view token, which opens this one alone.

// Your app's own: the team of whoever is signed in, or null.
import { getTeamForUser } from '@/lib/db/queries';

// A route of yours decodes what stands in its path. Anything but the id of a job could lead elsewhere.
const ID = /^(\d{1,18}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
const SENT_ON = ['idempotency-key', 'x-request-id'];
const SENT_BACK = [
  'cache-control',
  'content-disposition',
  'content-length',
  'content-type',
  'location',
  'retry-after',
  'x-request-id',
];

// Enqueues for the team. `wishesOf` makes them of the request's JSON: what it does not take over, a
// browser cannot ask for.
export function enqueue(request, wishesOf) {
  return forTeam(async (team) => {
    const body = await request.json().catch(() => null);
    if (body === null) return refusal(400, 'invalid_json', 'The body must be JSON.');
    const wishes = { ...wishesOf(body), teamId: String(team.id) };
    const headers = { ...sentOn(request), ...asService(), 'content-type': 'application/json' };
    return relayed(await ask('/api/generations', { method: 'POST', headers, body: JSON.stringify(wishes) }));
  });
}

// Does something with one job of the team; any other job is answered as one that is not there.
export function withJob(request, jobId, act) {
  return forTeam(async (team) => {
    if (!ID.test(jobId)) return notFound();
    const answer = await ask(`/api/generations/${jobId}`, { headers: { ...sentOn(request), ...asService() } });
    if (answer.status === 404) return notFound();
    if (!answer.ok) return relayed(answer);
    const job = await answer.json();
    return job.teamId === String(team.id) ? act(job) : notFound();
  });
}

// Sends a request on to a job that `withJob` has handed over, and streams the answer back.
export async function forward(request, job, action) {
  const token = new URLSearchParams({ token: job.viewToken });
  const path = `/api/generations/${job.jobId}/${action}?${token}`;
  return relayed(await ask(path, { method: request.method, headers: sentOn(request) }));
}

async function forTeam(act) {
  const team = await getTeamForUser();
  if (!team) return refusal(401, 'unauthorized', 'Unauthorized');
  try {
    return await act(team);
  } catch (error) {
    console.error('safelight cannot be asked:', error);
    return unavailable();
  }
}

// Without no-store, Next.js 14 would keep the first answer for ever.
function ask(path, init) {
  return fetch(process.env.SAFELIGHT_URL + path, { cache: 'no-store', ...init });
}

function relayed(answer) {
  if (answer.status === 401 || answer.status === 403) {
    // It is our key that is wrong, and not the customer who is signed out.
    console.error(`safelight answers ${answer.status}: is SAFELIGHT_KEY a service key?`);
    return unavailable();
  }
  return new Response(answer.body, { status: answer.status, headers: pick(answer.headers, SENT_BACK) });
}

function asService() {
  return { authorization: `Bearer ${process.env.SAFELIGHT_KEY}` };
}

function sentOn(request) {
  return pick(request.headers, SENT_ON);
}

function pick(headers, names) {
  const present = names.filter((name) => headers.has(name));
  return Object.fromEntries(present.map((name) => [name, headers.get(name)]));
}

function notFound() {
  return refusal(404, 'not_found', 'Job not found');
}

function unavailable() {
  return refusal(502, 'unavailable', 'Photos cannot be reached just now.');
}

function refusal(status, code, error) {
  return Response.json({ error, code }, { status });
}
