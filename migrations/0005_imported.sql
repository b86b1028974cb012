-- Images that were taken over from the Python program, also those that were deleted since: another import brings none of
-- them back.
create table imported (
    id blob not null primary key check (length(id) = 16)
) strict, without rowid;
