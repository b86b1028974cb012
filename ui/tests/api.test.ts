// The door to the server: its header, its errors, and what it does when the session is over.
import { beforeEach, describe, expect, it, vi } from 'vitest';

vi.mock('$lib/i18n.svelte', () => ({ i18n: { locale: 'zh-CN' } }));
// Node's Request wants whole addresses; a browser completes them. The client keeps the one that it finds when it is made.
const Whole = globalThis.Request;
vi.stubGlobal(
  'Request',
  class extends Whole {
    constructor(input: RequestInfo | URL, init?: RequestInit) {
      super(typeof input === 'string' ? new URL(input, 'http://localhost') : input, init);
    }
  },
);
const { api, call, whenSignedOut } = await import('../src/lib/api/client');
const { ApiError } = await import('../src/lib/api/error');

let asked: Request[] = [];
let answer: () => Response | Promise<Response>;

beforeEach(() => {
  asked = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    asked.push(request);
    return answer();
  });
});

const json = (status: number, body: unknown, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ...headers } });

async function failure(of: Promise<unknown>) {
  const cause = await of.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(cause).toBeInstanceOf(ApiError);
  return cause as InstanceType<typeof ApiError>;
}

describe('a request', () => {
  it('carries our header when it changes something, and the language always', async () => {
    answer = () => new Response(null, { status: 204 });
    await call(api.POST('/session/logout'));
    expect(asked[0]!.headers.get('X-PicGate')).toBe('1');
    expect(asked[0]!.headers.get('Accept-Language')).toBe('zh-CN');
    answer = () => json(200, { items: [] });
    expect(await call(api.GET('/jobs'))).toEqual({ items: [] });
    expect(asked[1]!.headers.get('X-PicGate')).toBeNull();
  });
});

describe('a failure', () => {
  it('has the code, the fields and the waiting time of the server', async () => {
    const problem = { code: 'invalid', message: 'too large' };
    answer = () =>
      json(422, { error: { code: 'invalid_settings', message: 'no', fields: { history_mb: problem } } });
    const told = await failure(call(api.PATCH('/settings', { body: { values: {} } })));
    expect([told.code, told.status, told.fields]).toEqual(['invalid_settings', 422, { history_mb: problem }]);

    answer = () =>
      json(429, { error: { code: 'too_many_attempts', message: 'wait' } }, { 'Retry-After': '20' });
    const wait = await failure(call(api.POST('/session/login', { body: { username: 'a', password: 'b' } })));
    expect(wait.retryAfter).toBe(20);
  });

  it('is told apart: nobody there, a foreign answer', async () => {
    answer = () => Promise.reject(new TypeError('fetch failed'));
    expect((await failure(call(api.GET('/stats')))).code).toBe('unreachable');
    answer = () => new Response('<html>Bad gateway</html>', { status: 502 });
    expect((await failure(call(api.GET('/stats')))).code).toBe('bad_answer');
    answer = () => new Response('<html>sign in to the hotel</html>', { status: 200 });
    expect((await failure(call(api.GET('/stats')))).code).toBe('bad_answer');
  });

  it('of the session is noticed in one place; wrong credentials are not that', async () => {
    const over = vi.fn();
    whenSignedOut(over);
    answer = () => json(401, { error: { code: 'wrong_credentials', message: 'no' } });
    await failure(call(api.POST('/session/login', { body: { username: 'a', password: 'b' } })));
    expect(over).not.toHaveBeenCalled();
    answer = () => json(401, { error: { code: 'not_signed_in', message: 'no' } });
    await failure(call(api.GET('/stats')));
    expect(over).toHaveBeenCalledOnce();
  });
});
