// Settings, the gateway key, upstreams.
import { randomBytes } from 'node:crypto';
import { bucket } from '../cache.mjs';
import { mark, tell } from '../events.mjs';
import { Failure } from '../http.mjs';
import { confirmed, nextId, state } from '../state.mjs';

function wrong(setting, value) {
    const { shape } = setting;
    if (setting.locked_by) return `由 ${setting.locked_by} 固定`;
    if (
        shape.kind === 'number' &&
        !(Number.isInteger(Number(value)) && value !== '' && +value >= shape.min && +value <= shape.max)
    )
        return `应为 ${shape.min} 到 ${shape.max} 之间的整数`;
    if (shape.kind === 'word' && !shape.words.includes(value)) return `应为 ${shape.words.join(' / ')}`;
    if (shape.kind === 'switch' && value !== 'true' && value !== 'false') return '应为 true 或 false';
    if (shape.kind === 'base_url' && value && !/^https?:\/\/[^/\s]+/.test(value))
        return '应为 http:// 或 https:// 开头的地址';
    if (shape.max && value.length > shape.max) return `最多 ${shape.max} 个字符`;
    if (shape.kind === 'aliases' && value.split('\n').some((line) => line.trim() && !/[:：]/.test(line)))
        return '每行一条：名称: 参数';
    return null;
}

function keep(setting, value) {
    if (setting.shape.kind === 'secret') {
        setting.is_set = value !== '';
        return;
    }
    setting.value = value;
    setting.is_set = value !== setting.default;
}

/** There is a bucket once all that it needs is there. */
function bucketFollows() {
    const of = (key) => state.settings.find((one) => one.key === key);
    const place = of('r2_account_id').value || of('s3_endpoint').value;
    state.bucket = !!(
        place &&
        of('r2_access_key_id').value &&
        of('r2_bucket').value &&
        of('r2_secret_access_key').is_set
    );
    tell('bucket', bucket());
    tell('cache', {});
}

function upstream(id) {
    const found = state.upstreams.find((one) => one.id === Number(id));
    if (!found) throw new Failure(404, 'not_found', 'no such upstream');
    return found;
}

function checkUpstream({ name, base_url, kind }) {
    const fields = {};
    if (name !== undefined && !name.trim())
        fields.name = { code: 'length', message: 'must have 1 to 64 characters' };
    if (kind !== 'demo' && base_url !== undefined && !/^https?:\/\/[^/\s]+/.test(base_url))
        fields.base_url = { code: 'address', message: 'must begin with http:// or https://' };
    if (Object.keys(fields).length)
        throw new Failure(422, 'invalid_upstream', 'some fields are not valid', { fields });
}

/** Every change tells and answers the whole list; the first that is switched on is asked. */
function told() {
    const first = state.upstreams.find((one) => one.enabled);
    for (const one of state.upstreams) one.preferred = one === first;
    const list = { items: state.upstreams };
    tell('upstreams', list);
    return list;
}
const fresh = {
    last_ok_at: null,
    last_error_at: null,
    last_error_code: null,
    last_error: null,
    median_ms: null,
};

/** Whether more pictures go for good with these values; 0 is no limit. */
function losesMore(values) {
    const setting = (key) => state.settings.find((one) => one.key === key);
    const after = (key) => (key in values ? (values[key] ?? setting(key).default) : setting(key).value);
    const limit = (value) => Number(value) || Infinity;
    const rules = { evict_last_copy: 'cache_cap_mb', delete_cloud_with_metadata: 'retention_days' };
    return Object.entries(rules).some(
        ([key, bound]) =>
            after(key) === 'true' &&
            (setting(key).value !== 'true' || limit(after(bound)) < limit(setting(bound).value)),
    );
}

/** Whether copies would go where none go now. */
function movesBucket(values) {
    const setting = (key) => state.settings.find((one) => one.key === key);
    const after = (key) => (key in values ? (values[key] ?? setting(key).default) : setting(key).value);
    const place = (of) =>
        [of('r2_account_id') || of('s3_endpoint'), of('r2_bucket'), of('s3_prefix')].join('|');
    const secret = 'r2_secret_access_key';
    const hasSecret = secret in values ? !!values[secret] : setting(secret).is_set;
    const uses =
        (after('r2_account_id') || after('s3_endpoint')) &&
        after('r2_bucket') &&
        after('r2_access_key_id') &&
        hasSecret;
    return uses && (!state.bucket || place(after) !== place((key) => setting(key).value));
}

export const closed = {
    'GET /settings': () => ({ items: state.settings }),
    'PATCH /settings': ({ body }) => {
        const fields = {};
        for (const [key, value] of Object.entries(body.values ?? {})) {
            const setting = state.settings.find((one) => one.key === key);
            const problem = !setting ? '没有这个设置' : wrong(setting, value ?? setting.default);
            if (problem) fields[key] = { code: setting?.locked_by ? 'locked' : 'invalid', message: problem };
        }
        if (Object.keys(fields).length)
            throw new Failure(422, 'invalid_settings', 'some values are not valid', { fields });
        const alone = state.library.filter((one) => !one.local && one.cloud === 'stored').length;
        const moves = Object.keys(body.values ?? {}).some((key) => /^r2_|^s3_(endpoint|prefix)/.test(key));
        if (moves && state.bucket && alone > 0 && !body.leave_images)
            throw new Failure(409, 'images_left_behind', 'images are in the bucket alone', { count: alone });
        if (losesMore(body.values ?? {}) || movesBucket(body.values ?? {})) confirmed(body.password);
        if (moves)
            state.leftBehind = alone > 0 && state.bucket ? { count: alone, place: 'old/pictures' } : null;
        for (const [key, value] of Object.entries(body.values ?? {})) {
            const setting = state.settings.find((one) => one.key === key);
            keep(setting, value ?? setting.default);
        }
        bucketFollows();
        tell('settings', { key_mark: mark() });
        return { items: state.settings };
    },
    'GET /gateway-key': () => ({ locked_by: null }),
    'POST /gateway-key/show': ({ body }) => {
        confirmed(body.password);
        return { key: state.gatewayKey, mark: mark(), locked_by: null };
    },
    'POST /gateway-key': ({ body }) => {
        confirmed(body.password);
        if (body.key !== undefined && body.key.length < 8)
            throw new Failure(422, 'invalid_key', 'the key is too short', {
                fields: { key: { code: 'characters', message: 'must have 8 characters or more' } },
            });
        state.gatewayKey = body.key ?? `pg-${randomBytes(16).toString('hex')}`;
        tell('settings', { key_mark: mark() });
        return { key: state.gatewayKey, mark: mark(), locked_by: null };
    },
    'GET /upstreams': () => ({ items: state.upstreams }),
    'POST /upstreams': ({ body }) => {
        checkUpstream(body);
        const { api_key, ...rest } = body;
        const made = {
            id: nextId(),
            ...rest,
            has_key: !!api_key,
            key_for: null,
            enabled: true,
            locked: false,
            preferred: false,
            learnt: [],
            health: { ...fresh },
        };
        state.upstreams.push(made);
        return told();
    },
    'PATCH /upstreams/:id': ({ params, body }) => {
        const one = upstream(params.id);
        checkUpstream({ kind: one.kind, ...body });
        const { api_key, ...rest } = body;
        Object.assign(one, rest);
        if (api_key !== undefined) one.has_key = api_key !== '';
        return told();
    },
    'DELETE /upstreams/:id': ({ params }) => {
        const one = upstream(params.id);
        state.upstreams = state.upstreams.filter((other) => other !== one);
        return told();
    },
    'PUT /upstreams/order': ({ body }) => {
        state.upstreams.sort((a, b) => body.ids.indexOf(a.id) - body.ids.indexOf(b.id));
        return told();
    },
    'POST /upstreams/test': async ({ body }) => {
        await new Promise((resolve) => setTimeout(resolve, 700));
        const kept = body.id ? upstream(body.id) : null;
        const kind = body.kind ?? kept?.kind ?? 'openai';
        const key = body.api_key ?? (kept?.has_key ? 'kept' : '');
        if (kind === 'demo') return { ok: true, models: ['demo'], has_model: true, problem: null, ms: 1 };
        const url = body.base_url ?? kept?.base_url ?? '';
        if (/unreachable|localhost:1\b/.test(url))
            return {
                ok: false,
                models: [],
                has_model: false,
                problem: {
                    code: 'upstream_unreachable',
                    message: '连不上这个地址:域名无法解析。请检查拼写。',
                },
                ms: 31,
            };
        if (!key || key.includes('wrong'))
            return {
                ok: false,
                models: [],
                has_model: false,
                problem: {
                    code: 'upstream_auth',
                    message: '上游不认这个密钥(401)。请确认复制完整,并且没有过期。',
                },
                ms: 412,
            };
        const models = [
            'dall-e-3',
            'gpt-4o',
            'gpt-4o-mini',
            'gpt-image-1',
            'gpt-image-1-mini',
            'gemini-2.5-flash-image',
            'o4-mini',
        ];
        return {
            ok: true,
            models,
            has_model: models.includes(body.model ?? kept?.model ?? ''),
            problem: null,
            ms: 386,
        };
    },
    'POST /upstreams/:id/forget': ({ params }) => {
        upstream(params.id).learnt = [];
        return told();
    },
};
