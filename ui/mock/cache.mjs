// Where the bytes of the mock's images lie, what each action would do now, the bucket, and the jobs that do it.
import { tell, tellStats } from './events.mjs';
import { Failure } from './http.mjs';
import { oldPictures, taken } from './import.mjs';
import { confirmed, figures, nextId, state } from './state.mjs';

const HOUR = 3_600_000;
const sum = (list) => list.reduce((total, one) => total + one.bytes, 0);
const amountOf = (list) => ({ count: list.length, bytes: sum(list) });
const safe = (one) => one.local && one.cloud === 'stored';
const last = (one) => one.local && one.cloud !== 'stored';
const value = (key) => state.settings.find((one) => one.key === key).value;
const cap = () => Number(value('cache_cap_mb')) * 1024 ** 2;
const over = () => (cap() ? Math.max(0, figures().bytes - cap()) : 0);

export function bucket() {
    const { bucket: on, bucketState: paused } = state;
    const name = on ? 'pictures @ 8f14e45f.r2.cloudflarestorage.com' : null;
    const quiet = { name, code: null, message: null, since: state.startedAt, next_try_at: null };
    if (!on) return { state: 'off', ...quiet };
    return paused ? { ...quiet, state: 'paused', ...paused } : { state: 'ok', ...quiet };
}

/** The longest unused first, until enough is gone. */
function overCap() {
    const candidates = state.library.filter(safe);
    if (value('evict_last_copy') === 'true') candidates.push(...state.library.filter(last));
    candidates.sort((a, b) => a.accessed_at - b.accessed_at);
    let freed = 0;
    return candidates.filter((one) => {
        if (freed >= over()) return false;
        freed += one.bytes;
        return true;
    });
}

/** Which images a job of this kind would touch. */
function touched(kind, lastCopies = false) {
    const { library } = state;
    const age = (one) => Date.now() - one.accessed_at;
    const ttl = Number(value('cache_ttl_hours')) * HOUR;
    const days = Number(value('retention_days'));
    switch (kind) {
        case 'clean_expired':
            return library.filter((one) => ttl && safe(one) && age(one) > ttl);
        case 'enforce_cap':
            return overCap();
        case 'forget_metadata':
            return library.filter(
                (one) => days && one.cloud === 'stored' && Date.now() - one.created_at > days * 24 * HOUR,
            );
        case 'clear_local':
            return library.filter((one) => safe(one) || (lastCopies && last(one)));
        case 'upload_pending':
            return library.filter((one) => one.cloud === 'pending' || one.cloud === 'failed');
        case 'retry_failed':
            return library.filter((one) => one.cloud === 'failed');
        case 'import':
            return oldPictures();
        case 'make_thumbnails':
            return library.filter((one) => one.thumbnail !== 'made');
        default:
            return library.filter((one) => one.local);
    }
}

const isOff = {
    clean_expired: () => value('cache_ttl_hours') === '0',
    enforce_cap: () => value('cache_cap_mb') === '0',
    forget_metadata: () => value('retention_days') === '0',
};

function action(kind) {
    if (isOff[kind]?.()) return { count: 0, bytes: 0, available: false, reason: 'off' };
    const amount = amountOf(touched(kind));
    const away = !state.bucket ? 'no_bucket' : state.bucketState ? 'bucket_paused' : null;
    const clock = state.clockWrong && /clean|forget/.test(kind) ? 'clock' : null;
    const uploads = /upload|retry/.test(kind);
    const reason =
        (uploads ? (away === 'no_bucket' ? away : null) : (away ?? clock)) ??
        (amount.count ? null : 'nothing');
    return { ...amount, available: reason === null, reason };
}

export function cache() {
    const { library } = state;
    const held = amountOf(library.filter(last));
    const uploads = figures().uploads;
    return {
        used_bytes: figures().bytes,
        cap_bytes: cap(),
        disk: { free: 182 * 1024 ** 3, total: 494 * 1024 ** 3 },
        local_only: held,
        both: amountOf(library.filter(safe)),
        cloud_only: amountOf(library.filter((one) => !one.local && one.cloud === 'stored')),
        missing: amountOf(library.filter((one) => !one.local && one.cloud !== 'stored')),
        bucket: bucket(),
        left_behind: state.leftBehind,
        uploads: uploads && {
            ...uploads,
            last_error: uploads.failed ? 'SlowDown: please reduce your request rate' : null,
        },
        sweep: {
            next_at: state.startedAt + Math.ceil((Date.now() - state.startedAt) / 600_000) * 600_000,
            last_at: Date.now() - 240_000,
            paused: state.clockWrong ? 'clock' : state.bucketState ? 'bucket' : null,
            over_bytes: over(),
            held,
        },
        actions: Object.fromEntries(
            [
                'clean_expired',
                'enforce_cap',
                'forget_metadata',
                'clear_local',
                'upload_pending',
                'retry_failed',
            ].map((kind) => [kind, action(kind)]),
        ),
        last_copies: held,
    };
}

function apply(job, one) {
    if (/clean_expired|clear_local|enforce_cap/.test(job.kind)) one.local = false;
    if (/upload_pending|retry_failed/.test(job.kind)) one.cloud = 'stored';
    if (job.kind === 'make_thumbnails') one.thumbnail = 'made';
    job.bytes += one.bytes;
}

function run(job, work) {
    const step = Math.max(1, Math.ceil(work.length / 25));
    const timer = setInterval(() => {
        if (job.state === 'running') {
            for (const one of work.slice(job.done, job.done + step)) apply(job, one);
            job.done = Math.min(work.length, job.done + step);
            if (job.done === work.length) job.state = 'done';
        }
        if (job.state !== 'running') {
            job.ended_at = Date.now();
            if (job.kind === 'import' && job.state === 'done') taken();
            clearInterval(timer);
        }
        tell('job', job);
        tellStats();
        tell('cache', {});
    }, 250);
    timer.unref();
}

export function start({ kind, last_copies: lastCopies, password }) {
    if (lastCopies) confirmed(password);
    if (state.jobs.some((job) => job.kind === kind && job.state === 'running'))
        throw new Failure(409, 'job_running', 'a job of this kind runs already');
    const work = touched(kind, lastCopies);
    const job = {
        id: String(nextId()),
        kind,
        state: 'running',
        done: 0,
        total: work.length,
        bytes: 0,
        failed: 0,
        message: null,
        started_at: Date.now(),
        ended_at: null,
        automatic: false,
    };
    state.jobs = [job, ...state.jobs].slice(0, 20);
    tell('job', job);
    run(job, work);
    return job;
}

/** What a test of a bucket says: a key id with "wrong" in it is refused, an endpoint with "unreachable" never answers. */
export async function testBucket(probe) {
    await new Promise((resolve) => setTimeout(resolve, 800));
    const of = (key) => probe[key] ?? value(key);
    const step = (name, code = null, message = null) => ({ step: name, ok: code === null, code, message });
    const hasSecret =
        !!probe.r2_secret_access_key ||
        state.settings.find((one) => one.key === 'r2_secret_access_key').is_set;
    const complete =
        (of('r2_account_id') || of('s3_endpoint')) && of('r2_access_key_id') && of('r2_bucket') && hasSecret;
    if (!complete)
        return {
            ok: false,
            ms: 0,
            steps: [
                step(
                    'settings',
                    'not_configured',
                    '还缺少端点（或账户 ID）、Access Key ID、Secret 或存储桶名称；更换端点时需要重新填写 Secret。',
                ),
            ],
        };
    if (/unreachable/.test(of('s3_endpoint')))
        return {
            ok: false,
            ms: 3000,
            steps: [
                step('settings'),
                step('reach', 'unreachable', '无法连接：请检查端点和网络。(dns error)'),
            ],
        };
    if (/wrong/.test(of('r2_access_key_id')))
        return {
            ok: false,
            ms: 210,
            steps: [step('settings'), step('reach', 'wrong_key', 'Access Key ID 不正确。')],
        };
    state.bucketState = null;
    tell('bucket', bucket());
    return {
        ok: true,
        ms: 640,
        steps: ['settings', 'reach', 'write', 'read', 'delete'].map((name) => step(name)),
    };
}

export function trustClock() {
    state.clockWrong = false;
    tell('cache', {});
}
