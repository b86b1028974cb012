-- What was learnt of an upstream from its refusals, so that each costs only one attempt. `upstream` is its base URL and
-- model; forgotten when either changes.
create table quirks (
    upstream text not null,
    quirk text not null,
    learnt_at integer not null,
    primary key (upstream, quirk)
) strict, without rowid;

-- One row for each request that was handled, the latest ones; prompts are here and not in the log.
create table activity (
    seq integer not null primary key,
    at integer not null,
    endpoint text not null check (endpoint in ('chat', 'generations', 'edits')),
    -- task: answered for the client's own chatter; chat: a conversation; drawing: a picture was wanted
    kind text not null check (kind in ('task', 'chat', 'drawing')),
    streamed integer not null check (streamed in (0, 1)),
    model text,
    upstream text,
    prompt text,
    -- ok, or the code of the error
    outcome text not null,
    message text,
    -- ids of the images in the answer, a JSON list
    images text not null check (json_valid(images)),
    -- calls that the upstream was sent for it; 0 when it joined another request
    calls integer not null,
    first_byte_ms integer,
    duration_ms integer not null,
    -- what else was done: history diet, bridging, retries; a JSON object
    notes text not null check (json_valid(notes))
) strict;

create index activity_at on activity (at);
