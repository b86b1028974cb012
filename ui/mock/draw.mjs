// Pretends to draw: a running request, its log lines, and a new picture at the end.
import { nextId, state } from './state.mjs';
import { image } from './seed.mjs';
import { random } from './png.mjs';
import { tell, tellImage, tellStats } from './events.mjs';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function log(level, target, message, fields = {}, request = null) {
    const line = {
        seq: (state.lines[0]?.seq ?? 0) + 1,
        at: Date.now(),
        level,
        target,
        message,
        fields,
        request,
    };
    state.lines.unshift(line);
    tell('log', line);
}

export async function draw(prompt, { endpoint = 'chat', ms = 4_000 } = {}) {
    const id = `req-${nextId()}`;
    const began = Date.now();
    state.running = [...state.running, { id, endpoint, prompt, model: 'gpt-image-1', began_at: began }];
    state.firstRequestAt ??= began;
    tell('running', state.running);
    await sleep(ms);
    const made = {
        ...image(random(nextId() * 7919), Date.now(), state.bucket),
        prompt,
        source: 'generated',
        model: 'gpt-image-1',
        local: true,
        cloud: state.bucket ? 'pending' : 'none',
        made_from: [],
    };
    state.library.unshift(made);
    const today = state.days.at(-1);
    if (today) today.ok += 1;
    state.running = state.running.filter((one) => one.id !== id);
    const record = {
        seq: (state.activity[0]?.seq ?? 0) + 1,
        at: began,
        endpoint,
        kind: 'drawing',
        streamed: true,
        model: 'picgate',
        upstream: 'OpenAI',
        prompt,
        outcome: 'ok',
        message: null,
        images: [made.id],
        calls: 1,
        first_byte_ms: 160,
        duration_ms: Date.now() - began,
        notes: {},
        request: id,
    };
    state.activity.unshift(record);
    log(
        'info',
        'picgate::library',
        'image saved',
        { event: 'saved', image: made.id, bytes: String(made.bytes) },
        id,
    );
    tellImage(made);
    tell('activity', record);
    tell('running', state.running);
    tellStats();
    return made;
}
