// The made-up library, logs and activity that the mock begins with. The same every time, but for the clock.
import { random } from './png.mjs';

const SUBJECTS = [
    '一只橘猫在阳光下睡觉',
    '雨夜的霓虹街道,赛博朋克风格',
    '水墨山水,远处有一叶小舟',
    '戴草帽的柴犬在海边',
    '把背景换成雪山',
    '国风少女,工笔画,手持团扇',
    '一杯拿铁的俯拍产品图',
    '宇航员骑马穿过麦田',
    '像素风格的小岛',
    '春节海报,红色喜庆,留白写字',
    'a lighthouse in a storm, oil painting',
    'isometric tiny bakery, soft light',
    'logo of a fox, flat, two colours',
    'make the cat a ragdoll, keep the scene',
    'a bowl of ramen, studio photo',
    'watercolor of old Lisbon trams',
];
const EXTRA = ['', ',高清', ',柔和光线', ',4K,细节丰富', '', ', cinematic', '', ',竖版构图'];
const MODELS = ['gpt-image-1', 'gemini-2.5-flash-image', 'dall-e-3', 'demo'];
const SIZES = [
    [1024, 1024],
    [1024, 1024],
    [1536, 1024],
    [1024, 1536],
    [1792, 1024],
    [768, 1344],
];
const SOURCES = ['generated', 'generated', 'generated', 'edited', 'edited', 'uploaded', 'imported'];

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export function uuid(next) {
    const hex = Array.from({ length: 32 }, () => Math.floor(next() * 16).toString(16));
    hex[12] = '4';
    hex[16] = '89ab'[Math.floor(next() * 4)];
    const s = hex.join('');
    return `${s.slice(0, 8)}-${s.slice(8, 12)}-${s.slice(12, 16)}-${s.slice(16, 20)}-${s.slice(20)}`;
}

const pick = (next, list) => list[Math.floor(next() * list.length)];

export function image(next, created, bucket) {
    const [width, height] = pick(next, SIZES);
    const source = pick(next, SOURCES);
    const uploaded = source === 'uploaded';
    const age = Date.now() - created;
    const cloud = !bucket ? 'none' : age < 2 * HOUR ? 'pending' : next() < 0.02 ? 'failed' : 'stored';
    return {
        id: uuid(next),
        width,
        height,
        bytes: Math.round(400_000 + next() * next() * 9_000_000),
        media_type: pick(next, ['image/png', 'image/png', 'image/webp', 'image/jpeg']),
        source,
        prompt: uploaded ? null : pick(next, SUBJECTS) + pick(next, EXTRA),
        model: uploaded || source === 'imported' ? null : pick(next, MODELS),
        created_at: created,
        accessed_at: Math.min(Date.now(), created + Math.round(next() * 3 * DAY)),
        local: cloud !== 'stored' || age < 3 * DAY || next() < 0.3,
        cloud,
        thumbnail: next() < 0.01 ? 'pending' : 'made',
        seed: Math.floor(next() * 1e9),
    };
}

export function images(amount, bucket) {
    const next = random(20260101);
    const now = Date.now();
    const made = [];
    for (let i = 0; i < amount; i += 1) {
        const share = i / Math.max(1, amount);
        made.push(image(next, Math.round(now - share * share * 40 * DAY - i * 41_000 - 60_000), bucket));
    }
    // Every edited image was made from the next older one.
    made.forEach((one, i) => {
        one.made_from = one.source === 'edited' && made[i + 1] ? [made[i + 1].id] : [];
    });
    return made;
}

export function days(library) {
    const list = [];
    const midnight = new Date();
    midnight.setHours(0, 0, 0, 0);
    const next = random(7);
    for (let back = 29; back >= 0; back -= 1) {
        const from = new Date(midnight.getTime());
        from.setDate(from.getDate() - back);
        const to = new Date(from.getTime());
        to.setDate(to.getDate() + 1);
        const ok = library.filter(
            (one) => one.created_at >= from.getTime() && one.created_at < to.getTime(),
        ).length;
        const two = (n) => String(n).padStart(2, '0');
        list.push({
            day: `${from.getFullYear()}-${two(from.getMonth() + 1)}-${two(from.getDate())}`,
            ok,
            failed: ok === 0 ? 0 : Math.floor(next() * Math.min(4, ok)),
            mean_ms: ok === 0 ? null : Math.round(9_000 + next() * 22_000),
        });
    }
    return list;
}

const OUTCOMES = [
    'ok',
    'ok',
    'ok',
    'ok',
    'ok',
    'ok',
    'quota_exhausted',
    'upstream_timeout',
    'content_blocked',
];

export function activity(library, amount) {
    const next = random(99);
    return library.slice(0, amount).map((one, index) => {
        const outcome = pick(next, OUTCOMES);
        const kind = next() < 0.15 ? 'task' : next() < 0.15 ? 'chat' : 'drawing';
        return {
            seq: amount - index,
            at: one.created_at,
            endpoint: pick(next, ['chat', 'generations', 'edits']),
            kind,
            streamed: next() < 0.6,
            model: 'picgate',
            upstream: kind === 'task' ? null : 'OpenAI',
            prompt: one.prompt,
            outcome,
            message: outcome === 'ok' ? null : 'upstream answered 429: insufficient_quota',
            images: outcome === 'ok' && kind === 'drawing' ? [one.id] : [],
            calls: kind === 'task' ? 0 : 1,
            first_byte_ms: kind === 'task' ? 2 : 180,
            duration_ms: kind === 'task' ? 4 : Math.round(5_000 + next() * 30_000),
            notes: next() < 0.2 ? { history_dropped: 3 } : {},
            request: uuid(next).slice(0, 8),
        };
    });
}

export function lines(records) {
    const made = [];
    for (const one of [...records].reverse()) {
        const say = (offset, level, target, message, fields = {}) =>
            made.push({ at: one.at + offset, level, target, message, fields, request: one.request });
        if (one.kind === 'task') {
            say(0, 'info', 'picgate::relay', '🗂️ 客户端的后台任务,已在本地回答', { task: 'title' });
            continue;
        }
        const what =
            one.endpoint === 'chat'
                ? '📤 发起对话请求: 3 条消息'
                : one.endpoint === 'edits'
                  ? '📤 发起图生图请求'
                  : '📤 发起文生图请求';
        say(0, 'info', 'picgate::relay', what, {
            model: one.model,
            upstream: one.upstream,
            streamed: String(one.streamed),
        });
        say(12, 'debug', 'picgate::upstream', 'request sent', { bytes: '1834', attempt: '1' });
        if (one.outcome === 'ok') {
            say(one.duration_ms, 'info', 'picgate::upstream', '📥 上游返回成功: 收到 1 张图片', {
                duration_ms: String(one.duration_ms),
            });
            say(
                one.duration_ms + 40,
                'info',
                'picgate::library',
                `✅ 图片已保存: ${one.images[0]?.slice(0, 8) ?? '—'}`,
                { image: one.images[0] ?? '' },
            );
            say(one.duration_ms + 900, 'info', 'picgate::cloud', '☁️ 已上传 R2', {
                image: one.images[0] ?? '',
            });
        } else {
            say(one.duration_ms, 'error', 'picgate::upstream', `❌ 上游返回错误: HTTP 429`, {
                code: one.outcome,
                status: '429',
            });
            say(one.duration_ms + 5, 'warn', 'picgate::relay', '这次请求没有产生图片', { code: one.outcome });
        }
    }
    made.sort((a, b) => a.at - b.at);
    return made.map((line, index) => ({ seq: index + 1, ...line })).reverse();
}
