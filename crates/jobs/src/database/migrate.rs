//! Makes the tables, River's and ours. Locked, so that several processes may start at once.

use std::fs::File;
use std::path::PathBuf;

use riverqueue::migrate::{PostgresMigrator, SqliteMigrator};
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgPool;

use super::{Database, Location};
use crate::{Error, Result};

/// The key of the advisory lock under which Postgres is migrated: any number of our own.
const LOCK: i64 = 0x6469_6666_7573_696f;

/// Brings the tables up to date.
///
/// # Errors
/// The database cannot be reached, or its tables are those of a newer release.
pub(super) async fn run(database: &Database, location: &Location) -> Result<()> {
    match (database, location) {
        (Database::Sqlite(pool), Location::Sqlite(path)) => {
            let mut lock = path.clone().into_os_string();
            lock.push(".migrating");
            let lock = PathBuf::from(lock);
            let held = tokio::task::spawn_blocking(move || {
                let file = File::create(&lock).map_err(|e| Error::io(&lock, e))?;
                file.lock().map_err(|e| Error::io(&lock, e))?;
                Ok::<_, Error>(file)
            });
            let held = held.await.map_err(|e| Error::Migration(e.to_string()))??;
            SqliteMigrator::new(pool.clone()).migrate_up().await.map_err(failed)?;
            sqlx::migrate!("migrations/sqlite").run(pool).await.map_err(refused)?;
            drop(held);
        }
        (Database::Postgres(pool), _) => postgres(pool).await?,
        (Database::Sqlite(_), Location::Postgres(_)) => {}
    }
    Ok(())
}

async fn postgres(pool: &PgPool) -> Result<()> {
    // The lock lives as long as its connection's session or until it is given back.
    let mut held = pool.acquire().await?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *held).await?;
    let done = async {
        PostgresMigrator::new(pool.clone()).migrate_up().await.map_err(failed)?;
        sqlx::migrate!("migrations/postgres").run(pool).await.map_err(refused)
    };
    let done = done.await;
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(&mut *held).await?;
    done
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Migration(error.to_string())
}

/// What is wrong with the tables, and what to do about it.
fn refused(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMismatch(version) => Error::Migration(format!(
            "these tables were made by a development version: step {version} has changed since. \
             Begin with another data folder (--data) or an empty database (--database); images and \
             models come along with `dumpdata` of the program that made the tables and `loaddata` \
             of this one"
        )),
        MigrateError::VersionMissing(version) => Error::Migration(format!(
            "these tables were made by a newer release: this one does not know step {version}. \
             Start that release or a later one, or restore a backup that this one made"
        )),
        error => failed(error),
    }
}
