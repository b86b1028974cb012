-- Copies in a bucket. Every image has a row here from its first moment, so that nothing is forgotten when a bucket is
-- configured later: the table is the outbox of uploads and the record of what was verified.

-- Bytes that were removed from disk because verified copies of them are in the bucket (state 'missing' with a time
-- here), as opposed to bytes that should be there and are not.
alter table blobs add column evicted_at integer;

create table copies (
    seq integer not null primary key references images (seq) on delete cascade,
    -- stored: the bucket itself confirmed length and digest; excluded: a person deleted the copy there and it is not made
    -- again; pending: everything else
    state text not null default 'pending' check (state in ('pending', 'stored', 'excluded')),
    -- the object's name where it is not prefix and image id, as for images of the Python program
    key text,
    attempts integer not null default 0,
    -- when it is tried next
    due_at integer not null,
    -- the run of the program that uploads it now; a lease of another run is void
    lease text,
    -- why the last attempt failed: a code, and words
    code text,
    error text,
    stored_at integer
) strict;

create index copies_due on copies (due_at, seq) where state = 'pending';
create index copies_failed on copies (seq) where state = 'pending' and attempts > 0;

insert into copies (seq, due_at) select seq, created_at from images;

create trigger images_outbox after insert on images begin
    insert into copies (seq, due_at) values (new.seq, new.created_at);
end;

-- Objects whose images were deleted: removed from the bucket that they lie in, tried until it is done. What lies here is
-- never fetched from the bucket again.
create table tombstones (
    id blob not null check (length(id) = 16),
    -- where: endpoint, bucket and prefix in one; '' for whichever is configured
    bucket text not null,
    key text not null,
    attempts integer not null default 0,
    due_at integer not null,
    error text,
    primary key (bucket, key)
) strict, without rowid;

create index tombstones_due on tombstones (due_at);
create index tombstones_id on tombstones (id);
