-- Records and lines of the log that belong to one request name it alike.
alter table activity add column request text;

-- The person cleared the log: what was asked is gone from the row, its figures stay for the plots.
alter table activity add column cleared integer not null default 0 check (cleared in (0, 1));

create index activity_request on activity (request) where request is not null;
