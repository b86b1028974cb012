// Everything that the mock knows, in memory, and what follows from it. `reset` begins anew.
import { Failure } from './http.mjs';
import { activity, days, images, lines } from './seed.mjs';
import { settings } from './settings.mjs';

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
            key_for: null,
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
            key_for: null,
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

export function reset({
    images: amount = 500,
    bucket = true,
    setup = false,
    old = null,
    desktop = false,
} = {}) {
    const library = images(amount, bucket);
    const records = activity(library, Math.min(amount, 120));
    Object.assign(state, {
        bucket,
        setup,
        ticket: 'mock-ticket',
        user: setup ? null : { username: 'admin', password: 'picgate-demo' },
        wrong: 0,
        sessions: new Map(),
        settings: settings(bucket),
        leftBehind: null,
        gatewayKey: 'pg-2f6d0c9b8a7e4d15b3c2a1908f7e6d5c',
        upstreams: amount === 0 ? [] : upstreams(),
        library,
        days: days(library),
        activity: records,
        lines: lines(records),
        running: [],
        jobs: [],
        // Why the bucket is paused, and whether the clock jumped: see POST /mock.
        bucketState: null,
        desktop,
        reach: 'this_computer',
        paused: false,
        autostart: true,
        keychain: false,
        clockWrong: false,
        // An older program's data: `true` while it is offered, then what came of it.
        old: old || null,
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
        uploads: bucket
            ? { pending: by('pending') + by('failed'), stored: by('stored'), failed: by('failed') }
            : null,
    };
}

/** Asks for the password once more, as the server does before something that a borrowed session must not do. */
export function confirmed(password) {
    if (!password) throw new Failure(403, 'password_needed', 'this takes the password once more');
    if (password !== state.user.password)
        throw new Failure(401, 'wrong_credentials', 'the password is wrong');
}
