//! Where servers of a row live: a folder, a database, a port each.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::Context;
use diffusion_jobs::Database;
use diffusion_jobs::database::Location;
use tempfile::TempDir;

use super::postgres::Postgres;
use super::{Kind, Run};

/// A folder and a database that outlive the servers over them.
pub(super) struct Site {
    pub(super) program: PathBuf,
    folder: TempDir,
    /// `None` on SQLite.
    pub(super) postgres: Option<Postgres>,
    pub(super) database: String,
    /// Variables of the environment of every server here.
    pub(super) variables: Vec<(String, String)>,
}

impl Site {
    /// An empty site; `None` where the database is not installed.
    pub(super) fn new(run: &Run) -> anyhow::Result<Option<Self>> {
        let folder = TempDir::new()?;
        let (postgres, database) = match run.kind {
            Kind::Sqlite => {
                (None, format!("sqlite://{}", folder.path().join("server.db").display()))
            }
            Kind::Postgres => {
                let Some(postgres) = Postgres::start() else { return Ok(None) };
                let url = tokio()?.block_on(postgres.database());
                (Some(postgres), url)
            }
        };
        let variables = vec![("DIFFUSION_SERVER_REQUESTS_PER_MINUTE".into(), "0".into())];
        Ok(Some(Self { program: run.program.clone(), folder, postgres, database, variables }))
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn location(&self) -> anyhow::Result<Location> {
        Ok(self.database.parse()?)
    }

    /// One number that the database gives.
    pub(super) fn number(&self, select: &'static str) -> anyhow::Result<i64> {
        let location = self.location()?;
        tokio()?.block_on(async {
            Ok(match Database::open(&location).await? {
                Database::Sqlite(pool) => sqlx::query_scalar(select).fetch_one(&pool).await?,
                Database::Postgres(pool) => sqlx::query_scalar(select).fetch_one(&pool).await?,
            })
        })
    }

    /// SQLite's own check of its file: `ok`, or what is wrong.
    pub(super) fn integrity(&self) -> anyhow::Result<String> {
        let location = self.location()?;
        tokio()?.block_on(async {
            Ok(match Database::open(&location).await? {
                Database::Sqlite(pool) => {
                    sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&pool).await?
                }
                Database::Postgres(_) => "ok".into(),
            })
        })
    }
}

/// A port that is free now.
pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What runs the asynchronous parts of the libraries.
pub(super) fn tokio() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().context("a runtime")
}
