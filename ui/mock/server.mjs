// A stand-in for PicGate's server, for building and testing the UI without Rust: the whole admin API in memory, pictures
// that are drawn on the spot, and the built UI under /admin with the real content security policy.
//
//   node mock/server.mjs [--port 5650] [--images 500] [--setup] [--no-bucket] [--busy] [--desktop]
//
// Sign in as admin / picgate-demo. The one-time ticket is mock-ticket. POST /mock steers it while it runs:
//   {"reset": {"images": 0, "bucket": false, "setup": true}}   begins anew
//   {"delay": 1500}                                            every answer of the API waits
//   {"fail": {"GET /stats": {"status": 500, "code": "internal"}}}
//   {"pause": {"code": "wrong_key", "message": "InvalidAccessKeyId"}}  {"pause": null}  {"clock": true}
//   {"draw": "a cat"}  {"hangUp": true}  {"signOut": true}  {"firstRequest": true}
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { bucket } from './cache.mjs';
import { draw } from './draw.mjs';
import { hangUp, listen, tell } from './events.mjs';
import { Failure, find, readJson, send, sendFailure } from './http.mjs';
import * as desktop from './routes/desktop.mjs';
import * as library from './routes/library.mjs';
import * as session from './routes/session.mjs';
import * as settings from './routes/settings.mjs';
import * as watch from './routes/watch.mjs';
import { reset, state } from './state.mjs';
import { image, ui } from './static.mjs';

const { values: options } = parseArgs({
    options: {
        port: { type: 'string', default: '5650' },
        images: { type: 'string', default: '500' },
        setup: { type: 'boolean', default: false },
        'no-bucket': { type: 'boolean', default: false },
        busy: { type: 'boolean', default: false },
        desktop: { type: 'boolean', default: false },
    },
});

const closed = {
    ...session.closed,
    ...settings.closed,
    ...library.closed,
    ...watch.closed,
    ...desktop.closed,
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function api(request, response, url) {
    const path = url.pathname.slice('/admin/api'.length);
    const { method } = request;
    if (method !== 'GET' && request.headers['x-picgate'] !== '1')
        throw new Failure(403, 'forged', 'the X-PicGate header is missing');
    const context = {
        request,
        response,
        query: url.searchParams,
        body: method === 'GET' ? {} : await readJson(request),
    };
    if (state.delay) await sleep(state.delay);
    const failure = state.fail[`${method} ${path}`];
    if (failure)
        throw new Failure(
            failure.status ?? 500,
            failure.code ?? 'internal',
            failure.message ?? 'made to fail',
            failure,
        );

    const open = find(session.open, method, path);
    if (open) return send(response, 200, await open.handler({ ...context, params: open.params }));
    if (!session.who(request)) throw new Failure(401, 'not_signed_in', 'not signed in');
    if (path === '/events') return listen(request, response);
    if (path === '/logs/export')
        return send(response, 200, watch.exported(), {
            'Content-Type': 'text/plain; charset=utf-8',
            'Content-Disposition': 'attachment; filename="picgate.log"',
        });
    const found = find(closed, method, path);
    if (!found) throw new Failure(404, 'not_found', `no such route: ${method} ${path}`);
    const answer = await found.handler({ ...context, params: found.params });
    send(response, answer === undefined ? 204 : 200, answer);
}

async function steer(request, response) {
    const order = await readJson(request);
    if (order.reset) reset(order.reset);
    if (order.delay !== undefined) state.delay = order.delay;
    if (order.fail) state.fail = order.fail;
    if (order.signOut) state.sessions.clear();
    if (order.pause !== undefined) {
        const { code, message } = order.pause ?? {};
        const times = { since: Date.now() - 900_000, next_try_at: Date.now() + 480_000 };
        state.bucketState = order.pause && { code, message, ...times };
        tell('bucket', bucket());
        tell('cache', {});
    }
    if (order.clock !== undefined) state.clockWrong = order.clock;
    if (order.hangUp) hangUp();
    if (order.draw) void draw(order.draw, { ms: order.ms ?? 4_000 });
    if (order.firstRequest) {
        state.firstRequestAt = Date.now();
        tell('activity', {
            ...(state.activity[0] ?? {}),
            seq: 1,
            at: Date.now(),
            endpoint: 'models',
            kind: 'chat',
            outcome: 'ok',
            images: [],
            notes: {},
        });
    }
    send(response, 204);
}

const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    try {
        const picture = /^\/images\/([0-9a-f-]{36})(\/thumbnail)?$/.exec(url.pathname);
        if (url.pathname.startsWith('/admin/api/')) await api(request, response, url);
        else if (url.pathname === '/admin' || url.pathname.startsWith('/admin/'))
            await ui(url.pathname, response);
        else if (picture) image(picture[1], !!picture[2], url.searchParams, response);
        else if (url.pathname === '/mock' && request.method === 'POST') await steer(request, response);
        else if (url.pathname === '/') response.writeHead(302, { Location: '/admin' }).end();
        else send(response, 404, { error: { code: 'not_found', message: 'no such route' } });
    } catch (failure) {
        if (!(failure instanceof Failure)) console.error(failure);
        if (response.headersSent) response.destroy();
        else sendFailure(response, failure);
    }
});

reset({
    images: Number(options.images),
    bucket: !options['no-bucket'],
    setup: options.setup,
    desktop: options.desktop,
});
if (options.busy) {
    const prompts = ['一只会飞的鲸鱼', '清晨的茶园', 'a tiny robot gardener', '把天空换成极光'];
    let turn = 0;
    setInterval(() => void draw(prompts[(turn += 1) % prompts.length], { ms: 5_000 }), 11_000);
}
server.listen(Number(options.port), '127.0.0.1', () => {
    console.log(`mock of PicGate: http://127.0.0.1:${server.address().port}/admin (admin / picgate-demo)`);
});
