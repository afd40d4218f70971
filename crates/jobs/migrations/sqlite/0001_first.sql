-- The original's two tables, then ours. Times are RFC 3339 in UTC, ids are 16 bytes.

CREATE TABLE da_images (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL CHECK (length(name) <= 255),
    owner TEXT NOT NULL DEFAULT 'LEONARDO_AI',
    path TEXT NOT NULL,
    meta TEXT NOT NULL DEFAULT '{}',
    description TEXT,
    install_ts TEXT NOT NULL,
    update_ts TEXT NOT NULL,
    created_by_id INTEGER,
    updated_by_id INTEGER,
    UNIQUE (name, owner)
) STRICT;
CREATE INDEX da_images_path ON da_images (path);

CREATE TABLE da_dlmodels (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL CHECK (length(name) <= 255),
    owner TEXT NOT NULL CHECK (length(owner) <= 255),
    hosted TEXT NOT NULL DEFAULT 'HUGGING_FACE',
    meta TEXT NOT NULL DEFAULT '{}',
    description TEXT,
    install_ts TEXT NOT NULL,
    update_ts TEXT NOT NULL,
    created_by_id INTEGER,
    updated_by_id INTEGER,
    UNIQUE (name, owner)
) STRICT;
CREATE INDEX da_dlmodels_name ON da_dlmodels (name);

CREATE TABLE api_keys (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    -- SHA-256 of the key: keys are 256 random bits, which need no slow hash.
    hash TEXT NOT NULL UNIQUE,
    -- Comma-separated: read, generate, admin.
    scopes TEXT NOT NULL,
    created_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT;

CREATE TABLE jobs (
    -- UUIDv7: in the order of their making.
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    -- As it was asked, defaults filled in.
    request TEXT NOT NULL,
    -- The key that asked; null where none is demanded.
    owner BLOB,
    priority INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    -- Counts what clients can see change; the id of its events.
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX jobs_state ON jobs (state, id);
CREATE INDEX jobs_owner ON jobs (owner, id);

CREATE TABLE job_images (
    job_id BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    state TEXT NOT NULL,
    -- All that decides the bytes of the image.
    plan TEXT NOT NULL,
    -- The picture of the data set that it is drawn from, where there is one.
    input_path TEXT,
    output_name TEXT NOT NULL,
    -- 16 zero bytes where no key is demanded: what is compared with `=` finds its index.
    owner BLOB NOT NULL,
    priority INTEGER NOT NULL,
    -- The round of the turn that it has now: see `fairness.rs`.
    round INTEGER NOT NULL,
    river_id INTEGER,
    -- River's attempt that may publish it.
    attempt INTEGER NOT NULL DEFAULT 0,
    -- Attempts in a row that ended without progress beyond `struck_step`.
    strikes INTEGER NOT NULL DEFAULT 0,
    struck_step INTEGER NOT NULL DEFAULT 0,
    -- Steps of the sample state that is stored.
    saved_step INTEGER NOT NULL DEFAULT 0,
    worker BLOB,
    started_at TEXT,
    finished_at TEXT,
    seconds REAL,
    error TEXT,
    sha256 TEXT,
    bytes INTEGER,
    width INTEGER,
    height INTEGER,
    PRIMARY KEY (job_id, idx)
) STRICT;
CREATE INDEX job_images_state ON job_images (state, round);
CREATE INDEX job_images_owner ON job_images (owner, state, round);
-- What the next turn of an owner may be given to: see `work/choose.rs`.
CREATE INDEX job_images_next ON job_images (owner, priority, job_id, idx)
    WHERE state = 'queued' AND attempt = 0 AND strikes = 0;
-- What `work/reap.rs` walks.
CREATE INDEX job_images_walk ON job_images (state, river_id);
-- Counts a job's images without reading them.
CREATE INDEX job_images_job ON job_images (job_id, state);
CREATE INDEX job_images_worker ON job_images (worker, state);
CREATE INDEX job_images_sha256 ON job_images (sha256);
CREATE INDEX job_images_river ON job_images (river_id);

CREATE TABLE idempotency_keys (
    -- 16 zero bytes where no key is demanded.
    owner BLOB NOT NULL,
    name TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    -- The job, image, model or key that the request made.
    made_id BLOB NOT NULL,
    -- What was answered, where that cannot be told from what was made.
    answer TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT;
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- One row for each start of a worker process.
CREATE TABLE worker_leases (
    id BLOB PRIMARY KEY,
    started_at TEXT NOT NULL,
    -- Counts heartbeats; compared with itself, never with a clock.
    beats INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
