// Sign-in, set-up, sessions, password.
import { randomUUID } from 'node:crypto';
import { cookies, Failure } from '../http.mjs';
import { state } from '../state.mjs';

export const who = (request) => state.sessions.get(cookies(request).picgate_session) ?? null;

function session(request, signed = who(request)) {
    return {
        state: state.user === null ? 'setup' : signed ? 'signed_in' : 'signed_out',
        username: signed ? state.user.username : null,
        version: '0.1.0-mock',
        language: state.settings.find((one) => one.key === 'language').value,
        needs_ticket: state.user === null,
        has_shell: state.desktop,
    };
}

function signIn({ request, response }) {
    const row = {
        id: randomUUID(),
        created_at: Date.now(),
        seen_at: Date.now(),
        address: request.socket.remoteAddress ?? '',
        agent: request.headers['user-agent'] ?? '',
    };
    const token = randomUUID();
    state.sessions.set(token, row);
    response.setHeader('Set-Cookie', `picgate_session=${token}; Path=/; HttpOnly; SameSite=Strict`);
    return session(request, row);
}

function strong(password) {
    if (typeof password === 'string' && password.length >= 8 && password !== '12345678') return;
    throw new Failure(422, 'weak_password', 'the password is too easy to guess', {
        fields: { password: { code: 'invalid', message: 'must have 8 characters or more' } },
    });
}

export const open = {
    'GET /session': ({ request }) => session(request),
    'POST /session/setup': (context) => {
        const { ticket, username, password } = context.body;
        if (state.user) throw new Failure(409, 'already_set_up', 'the admin exists already');
        if (ticket !== state.ticket) throw new Failure(403, 'wrong_ticket', 'the ticket is wrong');
        strong(password);
        state.user = { username, password };
        return signIn(context);
    },
    'POST /session/login': (context) => {
        const { username, password } = context.body;
        if (state.wrong >= 5) {
            state.wrong = 0;
            throw new Failure(429, 'too_many_attempts', 'too many attempts', { retryAfter: 20 });
        }
        if (!state.user || username !== state.user.username || password !== state.user.password) {
            state.wrong += 1;
            throw new Failure(401, 'wrong_credentials', 'user name or password is wrong');
        }
        state.wrong = 0;
        return signIn(context);
    },
    'POST /session/ticket': (context) => {
        if (context.body.ticket !== state.ticket)
            throw new Failure(403, 'wrong_ticket', 'the ticket is wrong');
        return signIn(context);
    },
};

export const closed = {
    'POST /session/logout': ({ request }) => void state.sessions.delete(cookies(request).picgate_session),
    'GET /sessions': ({ request }) => {
        const mine = who(request);
        return { items: [...state.sessions.values()].map((row) => ({ ...row, current: row === mine })) };
    },
    'DELETE /sessions': ({ request }) => {
        const mine = cookies(request).picgate_session;
        for (const token of state.sessions.keys()) if (token !== mine) state.sessions.delete(token);
    },
    'DELETE /sessions/:id': ({ params }) => {
        for (const [token, row] of state.sessions)
            if (row.id === params.id) return void state.sessions.delete(token);
        throw new Failure(404, 'not_found', 'no such session');
    },
    'POST /account/password': ({ request, body }) => {
        if (body.old_password !== state.user.password)
            throw new Failure(401, 'wrong_credentials', 'the old password is wrong');
        strong(body.new_password);
        state.user.password = body.new_password;
        closed['DELETE /sessions']({ request });
    },
};
