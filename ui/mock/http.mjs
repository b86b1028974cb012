// The little that the mock needs of HTTP: bodies, answers, errors, cookies, and a table of routes.

export class Failure extends Error {
    constructor(status, code, message, { fields, retryAfter, count } = {}) {
        super(message);
        Object.assign(this, { status, code, fields, retryAfter, count });
    }
}

export function send(response, status, body, headers = {}) {
    if (body === undefined) {
        response.writeHead(status, headers).end();
        return;
    }
    const raw = Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body);
    response
        .writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers })
        .end(raw);
}

export function sendFailure(response, failure) {
    const headers = failure.retryAfter ? { 'Retry-After': String(failure.retryAfter) } : {};
    const { code, message, fields, count } = failure;
    send(
        response,
        failure.status ?? 500,
        {
            error: {
                code: code ?? 'internal',
                message,
                ...(fields ? { fields } : {}),
                ...(count ? { count } : {}),
            },
        },
        headers,
    );
}

export async function readJson(request) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const raw = Buffer.concat(parts).toString('utf8');
    if (!raw) return {};
    try {
        return JSON.parse(raw);
    } catch {
        throw new Failure(400, 'bad_json', 'the body is no JSON');
    }
}

export function cookies(request) {
    return Object.fromEntries(
        (request.headers.cookie ?? '')
            .split(';')
            .map((pair) => pair.trim().split('='))
            .filter((pair) => pair.length === 2),
    );
}

/** `table`: {"GET /images/:id": handler}. Finds the handler and the parts of the path. */
export function find(table, method, path) {
    const given = path.split('/');
    // Fixed words before placeholders: /images/delete before /images/:id.
    const keys = Object.keys(table).sort((a, b) => Number(a.includes(':')) - Number(b.includes(':')));
    for (const key of keys) {
        const [wanted, pattern] = key.split(' ');
        const parts = pattern.split('/');
        if (wanted !== method || parts.length !== given.length) continue;
        const params = {};
        const fits = parts.every((part, index) => {
            if (!part.startsWith(':')) return part === given[index];
            params[part.slice(1)] = decodeURIComponent(given[index]);
            return true;
        });
        if (fits) return { handler: table[key], params, key };
    }
    return null;
}
