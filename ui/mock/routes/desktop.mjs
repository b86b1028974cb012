// Who can reach the gateway, a pause, and the desktop app around it.
import { mark, tell } from '../events.mjs';
import { Failure } from '../http.mjs';
import { confirmed, state } from '../state.mjs';

const ORDER = ['this_computer', 'docker', 'everyone'];
const ADDRESSES = {
    this_computer: ['127.0.0.1:5643', '[::1]:5643'],
    docker: ['127.0.0.1:5643', '[::1]:5643', '172.17.0.1:5643'],
    everyone: ['0.0.0.0:5643', '[::]:5643'],
};

const listen = () => ({
    reach: state.reach,
    choices: ORDER,
    locked_by: null,
    addresses: ADDRESSES[state.reach],
    bridges: [{ interface: 'docker0', address: '172.17.0.1' }],
    problem: null,
});

function shell() {
    if (!state.desktop) throw new Failure(501, 'no_shell', 'this works in the desktop app alone');
    return {
        autostart: state.autostart,
        autostart_problem: null,
        has_keychain: true,
        keys_in_keychain: state.keychain,
        data_dir: '/home/xiaolin/.local/share/picgate',
    };
}

export const closed = {
    'GET /listen': listen,
    'POST /listen': ({ body }) => {
        const further = ORDER.indexOf(body.reach) > ORDER.indexOf(state.reach);
        if (further) confirmed(body.password);
        state.reach = body.reach;
        tell('settings', { key_mark: mark() });
        return listen();
    },
    'GET /pause': () => ({ paused: state.paused }),
    'PUT /pause': ({ body }) => {
        state.paused = body.paused;
        tell('paused', { paused: state.paused });
        return { paused: state.paused };
    },
    'GET /shell': shell,
    'PUT /shell/autostart': ({ body }) => {
        state.autostart = body.on;
        return shell();
    },
    'PUT /shell/keychain': ({ body }) => {
        state.keychain = body.on;
        return shell();
    },
    // What was opened can be read in the page's network log; there is nothing to open here.
    'POST /shell/open': () => void shell(),
    'POST /shell/external': () => void shell(),
    'POST /shell/folder': () => void shell(),
};
