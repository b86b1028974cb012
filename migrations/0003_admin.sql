-- Who may use /admin: one account, so its key is fixed and two set-ups at once cannot both win.
create table admin (
    id integer not null primary key check (id = 1),
    username text not null check (length(username) between 1 and 64),
    -- argon2id, PHC string; bcrypt where it was taken over from the Python program
    password text not null,
    changed_at integer not null
) strict;

-- Only the SHA-256 of a session's token is stored.
create table sessions (
    id integer not null primary key,
    token blob not null unique check (length(token) = 32),
    created_at integer not null,
    seen_at integer not null,
    address text not null,
    agent text not null
) strict;

-- What was logged, the latest lines.
create table log_lines (
    seq integer not null primary key,
    at integer not null,
    level text not null check (level in ('error', 'warn', 'info', 'debug', 'trace')),
    target text not null,
    message text not null,
    -- a JSON object of texts
    fields text not null check (json_valid(fields)),
    request text
) strict;

create index log_lines_request on log_lines (request) where request is not null;

-- Which part of the API an upstream has, if the user says so.
alter table upstreams add column dialect text check (dialect in ('chat', 'images'));

-- Words of prompts. Each Han character is a word of its own here, so that one or two of them can be found; see
-- store/search.rs. Rows have the number of their image.
create virtual table images_words using fts5 (words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2');

create index images_model on images (model, created_at, seq);

-- The walk through sizes.
create index blobs_bytes on blobs (bytes, sha256);

-- Bytes whose images were deleted and which may still be on disk: what lies here is never adopted again.
create table doomed (
    sha256 blob not null primary key check (length(sha256) = 32)
) strict, without rowid;

-- Images from before the index of words: up to which number they are to be indexed, and up to which they are.
insert into meta (key, value) select 'words_until', coalesce(max(seq), 0) from images;
insert into meta (key, value) values ('words_done', '0');
