-- The original's two tables, then ours. Times are in UTC. What lists are ordered by is compared
-- byte by byte, as SQLite does.

CREATE TABLE da_images (
    id uuid PRIMARY KEY,
    name varchar(255) COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL DEFAULT 'LEONARDO_AI',
    path text NOT NULL,
    meta jsonb NOT NULL DEFAULT '{}',
    description text,
    install_ts timestamptz NOT NULL,
    update_ts timestamptz NOT NULL,
    created_by_id integer,
    updated_by_id integer,
    UNIQUE (name, owner)
);
CREATE INDEX da_images_path ON da_images (path);

CREATE TABLE da_dlmodels (
    id uuid PRIMARY KEY,
    name varchar(255) COLLATE "C" NOT NULL,
    owner varchar(255) COLLATE "C" NOT NULL,
    hosted text NOT NULL DEFAULT 'HUGGING_FACE',
    meta jsonb NOT NULL DEFAULT '{}',
    description text,
    install_ts timestamptz NOT NULL,
    update_ts timestamptz NOT NULL,
    created_by_id integer,
    updated_by_id integer,
    UNIQUE (name, owner)
);
CREATE INDEX da_dlmodels_name ON da_dlmodels (name);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    -- SHA-256 of the key: keys are 256 random bits, which need no slow hash.
    hash text NOT NULL UNIQUE,
    -- Comma-separated: read, generate, admin.
    scopes text NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE TABLE jobs (
    -- UUIDv7: in the order of their making.
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    state text NOT NULL,
    -- As it was asked, defaults filled in.
    request jsonb NOT NULL,
    -- The key that asked; null where none is demanded.
    owner uuid,
    priority integer NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    -- Counts what clients can see change; the id of its events.
    version bigint NOT NULL DEFAULT 1
);
CREATE INDEX jobs_state ON jobs (state, id);
CREATE INDEX jobs_owner ON jobs (owner, id);

CREATE TABLE job_images (
    job_id uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    idx integer NOT NULL,
    state text NOT NULL,
    -- All that decides the bytes of the image.
    plan jsonb NOT NULL,
    -- The picture of the data set that it is drawn from, where there is one.
    input_path text,
    output_name text NOT NULL,
    -- The nil UUID where no key is demanded: what is compared with `=` finds its index.
    owner uuid NOT NULL,
    priority integer NOT NULL,
    -- The round of the turn that it has now: see `fairness.rs`.
    round bigint NOT NULL,
    river_id bigint,
    -- River's attempt that may publish it.
    attempt integer NOT NULL DEFAULT 0,
    -- Attempts in a row that ended without progress beyond `struck_step`.
    strikes integer NOT NULL DEFAULT 0,
    struck_step integer NOT NULL DEFAULT 0,
    -- Steps of the sample state that is stored.
    saved_step integer NOT NULL DEFAULT 0,
    worker uuid,
    started_at timestamptz,
    finished_at timestamptz,
    seconds double precision,
    error text,
    sha256 text,
    bytes bigint,
    width integer,
    height integer,
    PRIMARY KEY (job_id, idx)
);
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
    -- The nil UUID where no key is demanded.
    owner uuid NOT NULL,
    name text NOT NULL,
    body_sha256 text NOT NULL,
    -- The job, image, model or key that the request made.
    made_id uuid NOT NULL,
    -- What was answered, where that cannot be told from what was made.
    answer text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (owner, name)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- One row for each start of a worker process.
CREATE TABLE worker_leases (
    id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL,
    -- Counts heartbeats; compared with itself, never with a clock.
    beats bigint NOT NULL DEFAULT 0
);

CREATE TABLE settings (
    name text PRIMARY KEY,
    value text NOT NULL
);
