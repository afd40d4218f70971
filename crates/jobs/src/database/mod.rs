//! The database: SQLite by default, Postgres where it is asked for.
//!
//! Statements are written once and run on both: `$n` parameters, and types that both know. The
//! macros `both!` and `transaction!` run the same code on whichever is open.

#[cfg(test)]
pub(crate) mod explain;
mod migrate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::{Error, Result};

/// An open database.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file; one worker process at a time.
    Sqlite(SqlitePool),
    /// A server.
    Postgres(PgPool),
}

/// Runs the same expression on the pool of either database. An early return (`?`) is the
/// expression's alone.
macro_rules! both {
    ($database:expr, $pool:ident => $body:expr) => {
        match $database {
            $crate::Database::Sqlite($pool) => async { Ok::<_, $crate::Error>($body) }.await?,
            $crate::Database::Postgres($pool) => {
                $crate::database::in_time(async { Ok::<_, $crate::Error>($body) }).await?
            }
        }
    };
}

/// Runs the same expression in a writing transaction of either database, and commits. An early
/// return (also `?`) rolls back, and is the expression's alone.
macro_rules! transaction {
    ($database:expr, $tx:ident => $body:expr) => {
        match $database {
            $crate::Database::Sqlite(pool) => {
                async {
                    let mut $tx = riverqueue::database::begin_sqlite_write(pool).await?;
                    let value = $body;
                    $tx.commit().await?;
                    Ok::<_, $crate::Error>(value)
                }
                .await?
            }
            $crate::Database::Postgres(pool) => {
                $crate::database::in_time(async {
                    let mut $tx = riverqueue::database::begin_postgres(pool).await?;
                    let value = $body;
                    $tx.commit().await?;
                    Ok::<_, $crate::Error>(value)
                })
                .await?
            }
        }
    };
}

/// How long a server may take to answer. Where the network is cut without a word, nothing else
/// would end a statement for many minutes.
const DEADLINE: Duration = Duration::from_secs(15);

/// Gives up on a server that does not answer.
pub(crate) async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Silent(DEADLINE)),
    }
}

pub(crate) use {both, transaction};

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Location {
    /// A SQLite file, made where there is none.
    Sqlite(PathBuf),
    /// A Postgres server.
    Postgres(Box<Server>),
}

/// How a Postgres server is reached.
#[derive(Clone)]
pub struct Server {
    pub(crate) options: PgConnectOptions,
    /// For Postgres' own programs.
    pub(crate) password: Option<String>,
    /// Variables of the environment that say the same to those programs as the URL's parameters
    /// say to us.
    pub(crate) parameters: BTreeMap<&'static str, String>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.options.get_host())
    }
}

impl FromStr for Location {
    type Err = Error;

    /// Reads `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`.
    fn from_str(url: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(":memory:") || path.contains('?') {
                return Err(Error::Invalid(
                    "a SQLite database is a file, as in sqlite:///var/lib/diffusion/server.db"
                        .into(),
                ));
            }
            return Ok(Self::Sqlite(path.into()));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            // The message of the parser may hold the password: it is left out.
            let options = PgConnectOptions::from_str(url).map_err(|_| {
                Error::Invalid(
                    "the database URL is not of the form postgres://USER:PASSWORD@HOST:PORT/NAME"
                        .into(),
                )
            })?;
            return Ok(Self::Postgres(Box::new(Server {
                options,
                password: password(url),
                parameters: parameters(url),
            })));
        }
        Err(Error::Invalid("a database URL begins with sqlite:// or postgres://".into()))
    }
}

impl Location {
    /// For people: without the password.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(server) => format!(
                "postgres://{}@{}:{}/{}",
                server.options.get_username(),
                server.options.get_host(),
                server.options.get_port(),
                server.options.get_database().unwrap_or_default()
            ),
        }
    }
}

/// The parameters of a URL that was read, decoded.
fn query(url: &str) -> impl Iterator<Item = (String, String)> {
    let (_, query) = url.split_once('?').unwrap_or_default();
    let query = query.split('#').next().unwrap_or_default();
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// What a URL says beside host, port, user, password and name, as libpq takes it.
fn parameters(url: &str) -> BTreeMap<&'static str, String> {
    let mut parameters = BTreeMap::new();
    for (name, value) in query(url) {
        let (variable, value) = match &*name {
            "sslmode" | "ssl-mode" => ("PGSSLMODE", value),
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => ("PGSSLROOTCERT", value),
            "sslcert" | "ssl-cert" => ("PGSSLCERT", value),
            "sslkey" | "ssl-key" => ("PGSSLKEY", value),
            "application_name" => ("PGAPPNAME", value),
            "options" => ("PGOPTIONS", value),
            name => match name.strip_prefix("options[").and_then(|name| name.strip_suffix(']')) {
                // In libpq a space ends an option, unless it is escaped.
                Some(name) => {
                    let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
                    ("PGOPTIONS", format!("-c {name}={value}"))
                }
                None => continue,
            },
        };
        let told: &mut String = parameters.entry(variable).or_default();
        if variable == "PGOPTIONS" && !told.is_empty() {
            *told = format!("{told} {value}");
        } else {
            *told = value;
        }
    }
    parameters
}

/// The password of a URL that was read.
fn password(url: &str) -> Option<String> {
    if let Some((_, password)) = query(url).filter(|(name, _)| name == "password").last() {
        return Some(password);
    }
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned())
}

/// How long a statement waits for a connection, and on SQLite for the write lock.
const PATIENCE: Duration = Duration::from_secs(5);

impl Database {
    /// Opens the database and brings its tables up to date. Several processes may do so at once.
    ///
    /// # Errors
    /// The database cannot be opened, or was made by a newer release.
    pub async fn open(location: &Location) -> Result<Self> {
        let database = Self::connect(location, 8).await?;
        migrate::run(&database, location).await?;
        Ok(database)
    }

    /// As [`Self::open`], of a database that holds our tables already; `None` where there is none,
    /// and nothing is made.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub async fn open_existing(location: &Location) -> Result<Option<Self>> {
        // To connect to a file would make it.
        if let Location::Sqlite(path) = location
            && !path.try_exists().map_err(|error| Error::io(path, error))?
        {
            return Ok(None);
        }
        let database = Self::connect(location, 1).await?;
        let tables: bool = match &database {
            Self::Sqlite(pool) => {
                let select = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'job_images'";
                sqlx::query_scalar(select).fetch_one(pool).await?
            }
            Self::Postgres(pool) => {
                let select = "SELECT to_regclass('job_images') IS NOT NULL";
                in_time(async { Ok(sqlx::query_scalar(select).fetch_one(pool).await?) }).await?
            }
        };
        if !tables {
            return Ok(None);
        }
        Self::open(location).await.map(Some)
    }

    /// A pool of its own to a database that is open already: River's.
    pub(crate) async fn connect(location: &Location, connections: u32) -> Result<Self> {
        match location {
            Location::Sqlite(path) => {
                if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
                    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
                }
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(PATIENCE);
                let pool = SqlitePoolOptions::new()
                    .max_connections(connections)
                    .acquire_timeout(PATIENCE)
                    .connect_with(options)
                    .await?;
                Ok(Self::Sqlite(pool))
            }
            Location::Postgres(server) => {
                let options = server.options.clone().application_name("diffusion-server");
                let pool = PgPoolOptions::new()
                    .max_connections(connections)
                    .acquire_timeout(PATIENCE)
                    .connect_with(options)
                    .await?;
                Ok(Self::Postgres(pool))
            }
        }
    }

    /// Runs `SELECT 1`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn ping(&self) -> Result<()> {
        both!(self, pool => sqlx::query("SELECT 1").execute(pool).await?.rows_affected());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert!(
            matches!("sqlite:///a/b.db".parse().unwrap(), Location::Sqlite(p) if p == Path::new("/a/b.db"))
        );
        assert!(
            matches!("sqlite:b.db".parse().unwrap(), Location::Sqlite(p) if p == Path::new("b.db"))
        );
        let Location::Postgres(_) = "postgres://u:secret@h:5433/d".parse().unwrap() else {
            panic!()
        };
        let shown = "postgres://u:secret@h:5433/d".parse::<Location>().unwrap().shown();
        assert_eq!(shown, "postgres://u@h:5433/d");
        let Location::Postgres(server) = "postgres://u:a%40b@h/d".parse().unwrap() else {
            panic!()
        };
        assert_eq!(server.password.as_deref(), Some("a@b"));
        assert!(!format!("{server:?}").contains("a@b"));
        for wrong in ["", "mysql://x", "sqlite::memory:", "sqlite://"] {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
        let error = "postgres://u:secret@h:x/d".parse::<Location>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
