//! How SQLite goes about a statement, for tests: whether it finds rows or looks at all of them.

use tempfile::TempDir;

use super::{Database, Location};

/// An empty database.
pub(crate) struct Empty {
    database: Database,
    _folder: TempDir,
}

impl Empty {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let location = Location::Sqlite(folder.path().join("server.db"));
        Self { database: Database::open(&location).await.unwrap(), _folder: folder }
    }

    /// The steps of a statement's plan.
    pub(crate) async fn plan(&self, statement: &str) -> Vec<String> {
        let Database::Sqlite(pool) = &self.database else { panic!() };
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(pool).await.unwrap();
        steps.into_iter().map(|(_, _, _, step)| step).collect()
    }
}
