// Stats, logs, activity, connect, about: what one looks at.
import { draw } from '../draw.mjs';
import { tell } from '../events.mjs';
import { figures, shown, state } from '../state.mjs';
import { Failure } from '../http.mjs';

const LEVELS = ['error', 'warn', 'info', 'debug'];

function page(list, query, keep) {
    const limit = Number(query.get('limit') ?? 100);
    const before = Number(query.get('before') ?? Infinity);
    const found = list.filter((one) => one.seq < before && keep(one));
    return { items: found.slice(0, limit), next: found.length > limit ? found[limit - 1].seq : null };
}

/** What both lists are asked: the least level, a search, one request. */
function wanted(query, levelOf, told) {
    const level = LEVELS.indexOf(query.get('level') || 'info');
    const q = (query.get('q') ?? '').toLowerCase();
    const events = (query.get('events') ?? '').split(',').filter(Boolean);
    const request = query.get('request');
    return (one) =>
        LEVELS.indexOf(levelOf(one)) <= level &&
        (!request || one.request === request) &&
        (!q || events.includes(one.fields?.event) || told(one).join('\n').toLowerCase().includes(q));
}

const ofLines = (query) =>
    wanted(
        query,
        (one) => one.level,
        (one) => [one.message, ...Object.values(one.fields), one.request],
    );

const ofRecords = (query) =>
    wanted(
        query,
        (one) => (one.outcome !== 'ok' ? 'error' : one.kind === 'task' ? 'debug' : 'info'),
        (one) => [one.prompt, one.model, one.upstream, one.outcome, one.message, one.request],
    );

/** What the doctor of a gateway says that closed its port to Docker and has a wrong clock. */
const examined = () => ({
    ok: false,
    examined_at: Date.now(),
    findings: [
        ['configuration', '配置', 'ok', 'config_ok', '参数和环境变量有效', null],
        ['folder', '数据文件夹', 'ok', 'folder_ok', '/app/data 可以写入', null],
        ['disk', '磁盘空间', 'ok', 'disk_ok', '剩余 12.4 GB，共 64.0 GB', null],
        [
            'clock',
            '时钟',
            'failed',
            'clock_wrong',
            '与 api.example.com 相差 17.0 分钟，存储桶会拒绝请求',
            '开启系统的自动校时（Linux：timedatectl set-ntp true）',
        ],
        ['gateway', '网关', 'ok', 'gateway_ok', '正在端口 5643 上运行，版本 0.1.0', null],
        ['lan', '局域网访问', 'note', 'lan_closed', '未开放，只有本机能访问；如需开放：--host 0.0.0.0', null],
        [
            'docker',
            'Docker 访问',
            'warning',
            'docker_closed',
            '容器无法访问 http://172.17.0.1:5643',
            '用 --host 172.17.0.1 启动',
        ],
    ].map(([check, name, finding_state, code, text, remedy]) => ({
        check,
        name,
        state: finding_state,
        code,
        text,
        remedy,
    })),
});

const DEMO = {
    id: null,
    name: 'Demo',
    kind: 'demo',
    base_url: '',
    model: 'demo',
    dialect: 'auto',
    has_key: false,
    key_for: null,
    enabled: true,
    locked: false,
    preferred: true,
    learnt: [],
    health: {
        last_ok_at: null,
        last_error_at: null,
        last_error_code: null,
        last_error: null,
        median_ms: null,
    },
};

export const closed = {
    'GET /stats': () => ({
        ...figures(),
        left_behind: state.leftBehind,
        disk: { free: 182 * 1024 ** 3, total: 494 * 1024 ** 3 },
        days: state.days,
        running: state.running,
        latest: state.library.slice(0, 12).map(shown),
        upstream: state.upstreams.find((one) => one.enabled) ?? DEMO,
        first_request_at: state.firstRequestAt,
    }),
    'GET /logs': ({ query }) => page(state.lines, query, ofLines(query)),
    'DELETE /logs': () => {
        [state.lines, state.activity] = [[], []];
        tell('log_cleared', {});
    },
    'GET /activity': ({ query }) => page(state.activity, query, ofRecords(query)),
    'POST /draw-test': async ({ body, request }) => {
        const prompt = body.prompt || '一只在门口看画的小猫';
        if (prompt.includes('quota'))
            throw new Failure(429, 'quota_exhausted', 'the quota is used up', { retryAfter: 3600 });
        const began = Date.now();
        const image = await draw(prompt, { endpoint: 'generations', ms: 2_500 });
        return {
            image: shown(image),
            link: `http://${request.headers.host}/images/${image.id}`,
            ms: Date.now() - began,
        };
    },
    'GET /connect': ({ request }) => {
        const port = Number(request.headers.host?.split(':')[1] ?? 80);
        return {
            port,
            model: state.settings.find((one) => one.key === 'gateway_model').value,
            listens: 'loopback',
            address: '127.0.0.1',
            locked_by: null,
            bridge: '172.17.0.1',
            public_base_url: null,
            places: [
                { place: 'host', base_url: `http://localhost:${port}/v1`, works: true, remedy: null },
                {
                    place: 'lan',
                    base_url: `http://192.168.1.8:${port}/v1`,
                    works: false,
                    remedy: 'listen_all',
                },
                {
                    place: 'docker_linux',
                    base_url: `http://host.docker.internal:${port}/v1`,
                    works: false,
                    remedy: 'listen_bridge',
                },
            ],
        };
    },
    'POST /connect/check': async ({ body }) => {
        await new Promise((resolve) => setTimeout(resolve, 900));
        const step = (name, code = null) => ({ step: name, ok: code === null, code });
        const failed = (code) => ({ ok: false, steps: [step('reach', code)], link: null });
        if (body.base_url.includes('host.docker')) return failed('not_on_bridge');
        if (!/localhost|127\.0\.0\.1/.test(body.base_url)) return failed('only_here');
        const link = `${body.base_url.replace('/v1', '')}/images/${state.library[0]?.id}`;
        return { ok: true, steps: ['reach', 'key', 'link'].map((name) => step(name)), link };
    },
    'GET /doctor': () => ({ report: state.examined ?? null }),
    'POST /doctor': () => (state.examined = examined()),
    'GET /about': () => ({
        version: '0.1.0-mock',
        started_at: state.startedAt,
        data_dir: '/home/me/.local/share/picgate/store',
        database_bytes: 3_481_600,
    }),
};

/** The log as a text file. */
export function exported() {
    const rows = [...state.lines].reverse();
    return (
        rows
            .map(
                (one) =>
                    `${new Date(one.at).toISOString()} ${one.level.toUpperCase()} ${one.target} ${one.message}`,
            )
            .join('\n') + '\n'
    );
}
