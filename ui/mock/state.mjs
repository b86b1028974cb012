// Everything that the mock knows, in memory, and what follows from it. `reset` begins anew.
import { activity, days, images, lines } from './seed.mjs';

const setting = (key, value, shape, section, locked_by = null) => ({
    key,
    value,
    default: value,
    shape,
    section,
    locked_by,
});
const word = (...words) => ({ kind: 'word', words });
const number = (min, max) => ({ kind: 'number', min, max });
const text = (max) => ({ kind: 'text', max });
const onOff = { kind: 'switch' };

function settings() {
    return [
        setting('gateway_model', 'picgate', { kind: 'name', max: 100 }, 'gateway'),
        setting('model_aliases', '', { kind: 'aliases' }, 'gateway'),
        setting('public_base_url', '', { kind: 'base_url' }, 'gateway', 'PICGATE_PUBLIC_BASE_URL'),
        setting('images_response', 'auto', word('auto', 'b64_json', 'url'), 'gateway'),
        setting('json_keep_alive', 'false', onOff, 'gateway'),
        setting('progress_style', 'content', word('content', 'reasoning', 'quiet'), 'conversation'),
        setting('intent_words', '', text(4000), 'conversation'),
        setting('task_model', '', { kind: 'name', max: 100 }, 'conversation'),
        setting('quota_window', '', text(100), 'conversation'),
        setting('content_array', 'false', onOff, 'conversation'),
        setting('history_images', '8', number(1, 64), 'history'),
        setting('history_mb', '20', number(1, 200), 'history'),
        setting('keep_uploads', 'true', onOff, 'history'),
        setting('fetch_external_images', 'false', onOff, 'security'),
        setting('allowed_hosts', '', { kind: 'hosts' }, 'security'),
        setting('language', 'auto', word('auto', 'zh', 'en'), 'appearance'),
    ];
}

const health = (at) => ({
    last_ok_at: at,
    last_error_at: null,
    last_error_code: null,
    last_error: null,
    median_ms: 14200,
});

function upstreams() {
    return [
        {
            id: 1,
            name: 'OpenAI',
            kind: 'openai',
            base_url: 'https://api.openai.com/v1',
            model: 'gpt-image-1',
            dialect: 'auto',
            has_key: true,
            enabled: true,
            locked: false,
            preferred: true,
            learnt: ['images_only'],
            health: health(Date.now() - 95_000),
        },
        {
            id: 2,
            name: '家里的 new-api',
            kind: 'openai',
            base_url: 'http://192.168.1.20:3000/v1',
            model: 'gemini-2.5-flash-image',
            dialect: 'chat',
            has_key: true,
            enabled: true,
            locked: false,
            preferred: false,
            learnt: [],
            health: {
                ...health(Date.now() - 7_200_000),
                last_error_at: Date.now() - 600_000,
                last_error_code: 'quota_exhausted',
                last_error: '绘图配额已用尽',
                median_ms: 21800,
            },
        },
    ];
}

export const state = {};

export function reset({ images: amount = 500, bucket = true, setup = false } = {}) {
    const library = images(amount, bucket);
    const records = activity(library, Math.min(amount, 120));
    Object.assign(state, {
        bucket,
        setup,
        ticket: 'mock-ticket',
        user: setup ? null : { username: 'admin', password: 'picgate-demo' },
        wrong: 0,
        sessions: new Map(),
        settings: settings(),
        gatewayKey: 'pg-2f6d0c9b8a7e4d15b3c2a1908f7e6d5c',
        upstreams: amount === 0 ? [] : upstreams(),
        library,
        days: days(library),
        activity: records,
        lines: lines(records),
        running: [],
        jobs: [],
        cap: 4 * 1024 ** 3,
        firstRequestAt: amount === 0 ? null : Date.now() - 40 * 86_400_000,
        startedAt: Date.now() - 5_400_000,
        next: 1000,
        // How the next answers misbehave: see POST /mock in server.mjs.
        delay: 0,
        fail: {},
    });
}

export const nextId = () => (state.next += 1);

/** What others see of an image: without what only the mock needs. */
export function shown(image) {
    const rest = { ...image };
    delete rest.seed;
    delete rest.made_from;
    return rest;
}

const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);

export function figures() {
    const { library, bucket } = state;
    const local = library.filter((one) => one.local);
    const by = (cloud) => library.filter((one) => one.cloud === cloud).length;
    return {
        images: { total: library.length, local: local.length, missing: 0 },
        bytes: sum(local, (one) => one.bytes),
        uploads: bucket ? { pending: by('pending'), stored: by('stored'), failed: by('failed') } : null,
    };
}

const amountOf = (list) => ({ count: list.length, bytes: sum(list, (one) => one.bytes) });
const expired = (one) => one.local && one.cloud === 'stored' && Date.now() - one.accessed_at > 72 * 3_600_000;

/** Which images a job of this kind would touch. */
export function touched(kind) {
    const { library } = state;
    if (kind === 'clean_expired') return library.filter(expired);
    if (kind === 'clear_local') return library.filter((one) => one.local && one.cloud === 'stored');
    if (kind === 'upload_pending') return library.filter((one) => one.cloud === 'pending');
    if (kind === 'retry_failed') return library.filter((one) => one.cloud === 'failed');
    if (kind === 'make_thumbnails') return library.filter((one) => one.thumbnail !== 'made');
    return library.filter((one) => one.local);
}

export function cache() {
    const { library, bucket } = state;
    const reason = bucket ? null : 'no_bucket';
    const upload = (kind) => ({ count: touched(kind).length, available: bucket, reason });
    return {
        used_bytes: figures().bytes,
        cap_bytes: state.cap,
        local_only: amountOf(library.filter((one) => one.local && one.cloud !== 'stored')),
        both: amountOf(library.filter((one) => one.local && one.cloud === 'stored')),
        cloud_only: amountOf(library.filter((one) => !one.local && one.cloud === 'stored')),
        actions: {
            clean_expired: { ...amountOf(touched('clean_expired')), available: bucket, reason },
            clear_local: {
                ...amountOf(touched('clear_local')),
                last_copies: library.filter((one) => one.local && one.cloud !== 'stored').length,
            },
            upload_pending: upload('upload_pending'),
            retry_failed: upload('retry_failed'),
        },
    };
}
