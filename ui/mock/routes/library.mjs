// Images, jobs, cache, bucket.
import { cache, start, testBucket, trustClock } from '../cache.mjs';
import { tell, tellStats } from '../events.mjs';
import { Failure } from '../http.mjs';
import { confirmed, shown, state } from '../state.mjs';

const KEYS = { created: 'created_at', accessed: 'accessed_at', size: 'bytes' };
const byId = (id) => state.library.find((one) => one.id === id);

function lies(one, state) {
    const [here, there] = [one.local, one.cloud === 'stored'];
    const waits = one.cloud === 'pending' || one.cloud === 'failed';
    const places = {
        local: here,
        local_only: here && !there,
        both: here && there,
        cloud: there,
        cloud_only: there && !here,
        waiting: waits,
        failed: one.cloud === 'failed',
        missing: !here && !there,
    };
    return !state || places[state];
}

function list(query) {
    const key = KEYS[query.get('sort') ?? 'created'];
    const limit = Number(query.get('limit') ?? 60);
    if (!key || !(limit >= 1 && limit <= 200))
        throw new Failure(422, 'invalid_query', 'sort or limit is not valid');
    const q = (query.get('q') ?? '').toLowerCase();
    const is = (name, value) => !query.get(name) || query.get(name) === value;
    const found = state.library.filter(
        (one) =>
            (!q || one.prompt?.toLowerCase().includes(q) || one.id.startsWith(q)) &&
            is('source', one.source) &&
            is('model', one.model) &&
            lies(one, query.get('state')) &&
            one.created_at >= Number(query.get('from') ?? 0) &&
            one.created_at <= Number(query.get('to') ?? Infinity),
    );
    const way = query.get('order') === 'asc' ? 1 : -1;
    found.sort((a, b) => way * (a[key] - b[key]) || way * a.id.localeCompare(b.id));
    const after = query.get('after');
    const from = after ? found.findIndex((one) => one.id === after) + 1 : 0;
    const items = found.slice(from, from + limit);
    return {
        items: items.map(shown),
        next: from + limit < found.length ? items.at(-1).id : null,
        total: found.length,
    };
}

function details(id, host) {
    const one = byId(id);
    if (!one) throw new Failure(404, 'not_found', 'no such image');
    const url = `http://${host}/images/${id}`;
    const alt = (one.prompt ?? 'image').slice(0, 40);
    return {
        ...shown(one),
        revised_prompt:
            one.model === 'dall-e-3' ? `${one.prompt}. A richly detailed scene with warm light.` : null,
        upstream: one.model ? 'OpenAI' : null,
        upstream_model: one.model,
        parameters: one.model ? { size: `${one.width}x${one.height}`, quality: 'high', n: 1 } : null,
        duration_ms: one.model ? 9_000 + (one.seed % 20_000) : null,
        sha256: one.id.replaceAll('-', '').repeat(2),
        links: { url, markdown: `![${alt}](${url})`, html: `<img src="${url}" alt="${alt}">` },
        made_from: (one.made_from ?? []).map((from) =>
            byId(from) ? shown(byId(from)) : { id: from, missing: true },
        ),
        became: state.library.filter((other) => other.made_from?.includes(id)).map(shown),
    };
}

function remove({ ids, what, last_copies, password }) {
    if ((what === 'all' || last_copies) && ids.length > 100) confirmed(password);
    const gone = [];
    const items = ids.map((id) => {
        const one = byId(id);
        if (!one) return { id, ok: false, code: 'not_found' };
        if (what === 'local' && one.cloud !== 'stored' && !last_copies)
            return { id, ok: false, code: 'last_copy' };
        if (what === 'cloud' && !one.local && !last_copies) return { id, ok: false, code: 'last_copy' };
        if (what === 'local') one.local = false;
        if (what === 'cloud') one.cloud = 'none';
        if (what === 'all' || (!one.local && one.cloud !== 'stored')) gone.push(id);
        else tell('image', shown(one));
        return { id, ok: true, code: null };
    });
    state.library = state.library.filter((one) => !gone.includes(one.id));
    if (gone.length) tell('images_deleted', { ids: gone });
    tellStats();
    return { items };
}

export const closed = {
    'GET /images': ({ query }) => list(query),
    'GET /images/:id': ({ params, request }) => details(params.id, request.headers.host),
    'POST /images/delete': ({ body }) => remove(body),
    'POST /images/archive': ({ body }) => {
        const known = body.ids.map(byId).filter(Boolean);
        const bytes = known.reduce((sum, one) => sum + one.bytes, 0);
        return { url: '/admin/api/images/archive/mock', count: known.length, bytes };
    },
    'GET /models': () => ({
        items: [...new Set(state.library.map((one) => one.model).filter(Boolean))].sort(),
    }),
    'GET /cache': () => cache(),
    'POST /cache/clock': () => trustClock(),
    'POST /bucket/test': ({ body }) => testBucket(body),
    'GET /jobs': () => ({ items: state.jobs }),
    'POST /jobs': ({ body }) => start(body),
    'DELETE /jobs/:id': ({ params }) => {
        const job = state.jobs.find((one) => one.id === params.id);
        if (!job) throw new Failure(404, 'not_found', 'no such job');
        if (job.state === 'running') job.state = 'cancelled';
    },
};
