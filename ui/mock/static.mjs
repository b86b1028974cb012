// Serves the built UI and the pictures, with the headers that the real server sends.
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { picture } from './png.mjs';
import { state } from './state.mjs';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.svg': 'image/svg+xml',
    '.json': 'application/json',
};
const POLICY =
    "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

export async function ui(path, response) {
    const inside = normalize(path.replace(/^\/admin\/?/, ''));
    const isFile = extname(inside) !== '' && !inside.startsWith('..');
    const name = isFile ? inside : 'index.html';
    let raw;
    try {
        raw = await readFile(join(DIST, name));
    } catch {
        response
            .writeHead(404, { 'Content-Type': 'text/plain' })
            .end(isFile ? 'not found' : 'run `npm run build` first');
        return;
    }
    response
        .writeHead(200, {
            'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream',
            'Content-Security-Policy': POLICY,
            'X-Content-Type-Options': 'nosniff',
            'Referrer-Policy': 'same-origin',
            'Cache-Control': name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
        })
        .end(raw);
}

const drawn = new Map();

export function image(id, thumbnail, query, response) {
    const one = state.library.find((other) => other.id === id);
    if (!one || (thumbnail && one.thumbnail !== 'made')) {
        response.writeHead(one ? 503 : 404, one ? { 'Retry-After': '2' } : {}).end();
        return;
    }
    const long = thumbnail ? 400 : Math.max(one.width, one.height);
    const factor = long / Math.max(one.width, one.height);
    const key = `${id} ${long}`;
    let raw = drawn.get(key);
    if (!raw) {
        raw = picture(one.seed, Math.round(one.width * factor), Math.round(one.height * factor));
        if (drawn.size > 600) drawn.clear();
        drawn.set(key, raw);
    }
    response
        .writeHead(200, {
            'Content-Type': 'image/png',
            'Content-Length': raw.length,
            'Cache-Control': 'public, max-age=31536000, immutable',
            'Access-Control-Allow-Origin': '*',
            ...(query.get('download') ? { 'Content-Disposition': `attachment; filename="${id}.png"` } : {}),
        })
        .end(raw);
}
