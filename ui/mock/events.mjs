// The event stream: who listens, and telling all of them.
import { createHash } from 'node:crypto';
import { bucket } from './cache.mjs';
import { figures, shown, state } from './state.mjs';

const listeners = new Set();

const write = (response, name, data) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);

/** The mark of the gateway's key. */
export const mark = () => createHash('sha256').update(state.gatewayKey).digest('hex').slice(0, 32);

export function listen(request, response) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.write('retry: 2000\n\n');
    write(response, 'snapshot', {
        stats: figures(),
        running: state.running,
        jobs: state.jobs,
        bucket: bucket(),
        paused: state.paused,
        key_mark: mark(),
    });
    listeners.add(response);
    const alive = setInterval(() => response.write(': alive\n\n'), 15_000);
    request.on('close', () => {
        clearInterval(alive);
        listeners.delete(response);
    });
}

export function tell(name, data) {
    for (const response of listeners) write(response, name, data);
}

export const tellStats = () => tell('stats', figures());
export const tellImage = (image) => tell('image', shown(image));

/** Ends every stream: what a restart of the server looks like. */
export function hangUp() {
    for (const response of listeners) response.destroy();
}
