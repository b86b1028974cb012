-- The bucket (endpoint, name and prefix in one) that had confirmed an image when another bucket took its place, if the image's
-- bytes were nowhere else: there they are found again. Empty once the present bucket has confirmed it.
alter table copies add column left_in text;

create index copies_left on copies (seq) where left_in is not null;
create index blobs_evicted on blobs (sha256) where evicted_at is not null;
