-- No statement looked for what these find, and each image paid for them.
DROP INDEX job_images_worker;
DROP INDEX job_images_sha256;

-- What lists of jobs are asked for: see `list.rs`. They follow the id.
CREATE INDEX jobs_owner_state ON jobs (owner, state, id);
CREATE INDEX jobs_kind ON jobs (kind, id);
-- By its beginning: a label may be longer than an entry of an index on Postgres.
CREATE INDEX jobs_label ON jobs (substr(request ->> 'label', 1, 64), owner, id)
    WHERE (request ->> 'label') IS NOT NULL;

-- What `keep.rs` removes.
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
