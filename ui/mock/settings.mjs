// The settings of the mock: the same keys, shapes and sections as the server's.

const word = (...words) => ({ kind: 'word', words });
const number = (min, max) => ({ kind: 'number', min, max });
const text = (max) => ({ kind: 'text', max });
const name = (max) => ({ kind: 'name', max });
const onOff = { kind: 'switch' };
const address = { kind: 'base_url' };

/** [key, default, shape, section, value if it is another one, variable that locks it] */
const all = (bucket) => [
    ['gateway_model', 'picgate', name(256), 'gateway'],
    ['public_base_url', '', address, 'gateway', '', 'PICGATE_PUBLIC_BASE_URL'],
    ['keep_uploads', 'true', onOff, 'history'],
    ['fetch_external_images', 'false', onOff, 'security'],
    ['progress_style', 'content', word('content', 'reasoning', 'quiet'), 'conversation'],
    ['language', 'auto', word('auto', 'zh', 'en'), 'appearance'],
    ['intent_words', '', text(65536), 'conversation'],
    ['task_model', '', text(256), 'conversation'],
    ['quota_window', '', text(200), 'conversation'],
    ['json_keep_alive', 'false', onOff, 'gateway'],
    ['content_array', 'false', onOff, 'gateway'],
    ['images_response', 'auto', word('auto', 'b64_json', 'url'), 'gateway'],
    ['history_images', '8', number(1, 64), 'history'],
    ['history_mb', '20', number(1, 200), 'history'],
    ['listen', 'this_computer', word('this_computer', 'docker', 'everyone'), 'security'],
    ['notify_finished', 'true', onOff, 'desktop'],
    ['notify_failed', 'true', onOff, 'desktop'],
    ['notify_disk', 'true', onOff, 'desktop'],
    ['notify_bucket', 'true', onOff, 'desktop', 'false'],
    ['allowed_hosts', '', { kind: 'hosts' }, 'security'],
    ['model_aliases', 'picgate-4k: --size 4k', { kind: 'aliases' }, 'gateway'],
    ['r2_account_id', '', text(256), 'bucket', bucket ? '8f14e45fceea167a5a36dedd4bea2543' : ''],
    ['r2_access_key_id', '', text(256), 'bucket', bucket ? 'b1946ac92492d2347c6235b4d2611184' : ''],
    ['r2_secret_access_key', '', { kind: 'secret', max: 1024 }, 'bucket'],
    ['r2_bucket', '', text(256), 'bucket', bucket ? 'pictures' : ''],
    ['s3_endpoint', '', address, 'bucket'],
    ['s3_region', 'auto', name(64), 'bucket'],
    ['s3_prefix', 'picgate/', text(256), 'bucket'],
    ['s3_write', 'behind', word('behind', 'through'), 'bucket'],
    ['bucket_public_url', '', address, 'bucket'],
    ['bucket_links', 'gateway', word('gateway', 'redirect', 'direct'), 'bucket'],
    ['cache_ttl_hours', '72', number(0, 87_600), 'cache'],
    ['cache_cap_mb', '0', number(0, 100_000_000), 'cache', '740'],
    ['evict_last_copy', 'false', onOff, 'cache'],
    ['retention_days', '365', number(0, 36_500), 'cache'],
    ['delete_cloud_with_metadata', 'false', onOff, 'cache'],
];

export function settings(bucket) {
    return all(bucket).map(([key, fallback, shape, section, value = fallback, locked_by = null]) => ({
        key,
        value,
        default: fallback,
        shape,
        section,
        locked_by,
        is_set: shape.kind === 'secret' ? bucket : value !== fallback,
    }));
}
