-- What the library knows. Times are milliseconds since 1970-01-01 UTC.

create table meta (
    key text not null primary key,
    value text not null
) strict, without rowid;

-- Settings that a person changed; what stands here is overridden by environment and flags.
create table settings (
    key text not null primary key,
    value text not null,
    changed_at integer not null
) strict, without rowid;

-- Providers we call, tried in order of priority (lowest first). Their API keys are in secrets.json, by id.
create table upstreams (
    id integer not null primary key,
    name text not null unique check (length(name) between 1 and 64),
    kind text not null check (kind in ('openai', 'demo')),
    base_url text not null,
    model text not null,
    priority integer not null default 100,
    enabled integer not null default 1 check (enabled in (0, 1)),
    created_at integer not null
) strict;

-- Bytes on disk, stored once however many images have them.
create table blobs (
    sha256 blob not null primary key check (length(sha256) = 32),
    bytes integer not null check (bytes > 0),
    media_type text not null check (media_type in ('image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif', 'image/heic')),
    width integer,
    height integer,
    complete integer not null check (complete in (0, 1)),
    -- present: on disk; missing: should be on disk and is not
    state text not null default 'present' check (state in ('present', 'missing')),
    thumbnail text not null default 'pending' check (thumbnail in ('pending', 'made', 'failed')),
    thumbnail_error text,
    created_at integer not null
) strict, without rowid;

create index blobs_thumbnail_pending on blobs (created_at) where thumbnail = 'pending';

-- Images as people think of them: what a link names.
create table images (
    seq integer not null primary key,
    id blob not null unique check (length(id) = 16),
    sha256 blob not null references blobs (sha256),
    source text not null check (source in ('generated', 'edited', 'uploaded', 'imported')),
    prompt text,
    revised_prompt text,
    model text,
    upstream text,
    upstream_model text,
    parameters text check (parameters is null or json_valid(parameters)),
    duration_ms integer,
    created_at integer not null,
    accessed_at integer not null
) strict;

create index images_created on images (created_at, seq);
create index images_accessed on images (accessed_at, seq);
create index images_sha256 on images (sha256);

-- The same upload again is the same image.
create unique index images_uploaded on images (sha256) where source = 'uploaded';

-- Which image was made from which, in the order in which the model saw them.
create table lineage (
    seq integer not null references images (seq) on delete cascade,
    position integer not null,
    parent_id blob not null check (length(parent_id) = 16),
    primary key (seq, position)
) strict, without rowid;

create index lineage_parent on lineage (parent_id);
