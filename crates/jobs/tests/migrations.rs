//! What a release does with the tables of another.

#![allow(clippy::unwrap_used)]

mod support;

use chrono::{DateTime, Utc};
use diffusion_jobs::idempotency::Idempotency;
use diffusion_jobs::{Database, Filter, State, keys};
use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::types::Json;
use sqlx::{PgPool, SqlitePool};
use uuid::Uuid;

use support::postgres::Postgres;
use support::{Fresh, on_both};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

on_both!(made_by_a_development_version, made_by_a_newer_release);

/// A step that was ever taken is never changed: databases remember what it was.
#[test]
fn steps_stay_as_they_are() {
    let sums = |migrator: &Migrator| -> Vec<String> {
        migrator.iter().map(|step| hex::encode(&step.checksum)).collect()
    };
    let sqlite = [
        "0afefb17dc843fc6e9aa64f602de52c9057f0e8c6dc714336b650659541ccb31\
         24dd03ba6b46034d32d2262679b5cfb2",
        "187550339cae5283ca2c562c6cee160cd2eff88ff5e5921029e92755fd09c3f686c2a04c31c5c9d85c3bf01fa953528e",
    ];
    let postgres = [
        "199586d1e9b1f4ebf4fec143a4ece65ffd9f31f0989986171a4ae3d865e4fef3\
         0191c45b9432e7f07a904b6f71488df8",
        "a37b28ceb7b4298e3f6c8f0460e7027c9cef57bc426b2e8a805539b9c6eb4cb866ad8387850d6773ef33d2b8ec726f42",
    ];
    assert_eq!(sums(&SQLITE), sqlite);
    assert_eq!(sums(&POSTGRES), postgres);
}

/// What is in the tables of the first step.
struct Kept {
    image: Uuid,
    model: Uuid,
    key: Uuid,
    job: Uuid,
    at: DateTime<Utc>,
}

impl Kept {
    fn new() -> Self {
        let [image, model, key, job] = [(); 4].map(|()| Uuid::now_v7());
        Self { image, model, key, job, at: "2025-06-01T12:00:00Z".parse().unwrap() }
    }

    async fn check(&self, database: &Database) {
        let image = database.images().get(self.image).await.unwrap();
        assert_eq!((&*image.name, &*image.path, image.install_ts), ("a.png", "a/a.png", self.at));
        assert_eq!(database.models().get(self.model).await.unwrap().name, "tiny");
        let keys = keys::list(database).await.unwrap();
        assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), [self.key]);
        assert_eq!(database.setting("secret").await.unwrap().as_deref(), Some("s"));
        let named = Idempotency { name: "n".into(), body_sha256: "b".into() };
        let made = database.remembered(Some(self.key), &named).await.unwrap().unwrap();
        assert_eq!(made.made, self.job);

        let labelled = Filter {
            label: Some("l".repeat(5_000)),
            state: Some(State::Failed),
            owner: Some(self.key),
            ..Filter::default()
        };
        let jobs = database.jobs(&labelled, 10).await.unwrap().items;
        let [job] = &jobs[..] else { panic!("{jobs:?}") };
        assert_eq!((job.id, job.created_at, job.version), (self.job, self.at, 7));
        let images = database.job_images(self.job).await.unwrap();
        let seen: Vec<_> = images.iter().map(|i| (i.state, i.sha256.as_deref())).collect();
        assert_eq!(seen, [(State::Succeeded, Some("ab")), (State::Failed, None)]);
        assert_eq!(images[1].plan["seed"], 1);
    }
}

/// Writes rows as the first release did.
macro_rules! fill {
    ($pool:expr, $kept:expr) => {{
        let (pool, kept) = ($pool, $kept);
        for (id, table, name, third) in [
            (kept.image, "da_images", "a.png", "path"),
            (kept.model, "da_dlmodels", "tiny", "hosted"),
        ] {
            let insert = format!(
                "INSERT INTO {table} (id, name, owner, {third}, install_ts, update_ts) \
                 VALUES ($1, $2, 'o', 'a/a.png', $3, $3)"
            );
            let insert = sqlx::query(sqlx::AssertSqlSafe(insert));
            insert.bind(id).bind(name).bind(kept.at).execute(pool).await.unwrap();
        }
        let key = "INSERT INTO api_keys (id, name, hash, scopes, created_at) \
                   VALUES ($1, 'k', 'h', 'read', $2)";
        sqlx::query(key).bind(kept.key).bind(kept.at).execute(pool).await.unwrap();
        let job = "INSERT INTO jobs (id, kind, state, request, owner, priority, created_at, \
                   finished_at, version) VALUES ($1, 'txt2img', 'failed', $2, $3, 1, $4, $4, 7)";
        // Longer than an entry of an index may be on Postgres.
        let request = Json(json!({ "label": "l".repeat(5_000) }));
        let job = sqlx::query(job).bind(kept.job).bind(request).bind(kept.key).bind(kept.at);
        job.execute(pool).await.unwrap();
        for (index, state, sha256) in [(0, "succeeded", Some("ab")), (1, "failed", None)] {
            let image = "INSERT INTO job_images (job_id, idx, state, plan, output_name, owner, \
                         priority, round, river_id, sha256) \
                         VALUES ($1, $2, $3, $4, 'a.png', $5, 1, 0, 9, $6)";
            let image = sqlx::query(image).bind(kept.job).bind(index).bind(state);
            let image = image.bind(Json(json!({ "seed": index }))).bind(kept.key).bind(sha256);
            image.execute(pool).await.unwrap();
        }
        let named = "INSERT INTO idempotency_keys (owner, name, body_sha256, made_id, created_at) \
                     VALUES ($1, 'n', 'b', $2, $3)";
        let named = sqlx::query(named).bind(kept.key).bind(kept.job).bind(kept.at);
        named.execute(pool).await.unwrap();
        let setting = "INSERT INTO settings (name, value) VALUES ('secret', 's')";
        sqlx::query(setting).execute(pool).await.unwrap();
    }};
}

#[tokio::test]
async fn an_upgrade_keeps_the_data_on_sqlite() {
    let (folder, kept) = (tempfile::tempdir().unwrap(), Kept::new());
    let url = format!("sqlite://{}", folder.path().join("server.db").display());
    let pool = SqlitePool::connect(&format!("{url}?mode=rwc")).await.unwrap();
    SQLITE.run_to(1, &pool).await.unwrap();
    fill!(&pool, &kept);
    pool.close().await;
    kept.check(&Database::open(&url.parse().unwrap()).await.unwrap()).await;
}

#[tokio::test]
async fn an_upgrade_keeps_the_data_on_postgres() {
    let Some(server) = Postgres::shared() else { return };
    let (url, kept) = (server.database().await, Kept::new());
    let pool = PgPool::connect(&url).await.unwrap();
    POSTGRES.run_to(1, &pool).await.unwrap();
    fill!(&pool, &kept);
    pool.close().await;
    kept.check(&Database::open(&url.parse().unwrap()).await.unwrap()).await;
}

/// Changes what a database remembers of the steps that it took, and opens it again.
async fn refused(fresh: &Fresh, change: &'static str) -> String {
    let sum = vec![0_u8; 48];
    let changed = match &fresh.database {
        Database::Sqlite(pool) => {
            sqlx::query(change).bind(sum).execute(pool).await.unwrap().rows_affected()
        }
        Database::Postgres(pool) => {
            sqlx::query(change).bind(sum).execute(pool).await.unwrap().rows_affected()
        }
    };
    assert_eq!(changed, 1);
    Database::open(&fresh.location).await.unwrap_err().to_string()
}

async fn made_by_a_development_version(fresh: &Fresh) {
    let change = "UPDATE _sqlx_migrations SET checksum = $1 WHERE version = 1";
    let error = refused(fresh, change).await;
    for part in ["made by a development version", "step 1", "--data", "`dumpdata`"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

async fn made_by_a_newer_release(fresh: &Fresh) {
    let add = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
               VALUES (99, 'later', true, $1, 0)";
    let error = refused(fresh, add).await;
    assert!(error.contains("made by a newer release") && error.contains("step 99"), "{error}");
}
