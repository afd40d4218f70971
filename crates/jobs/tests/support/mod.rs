//! Empty databases of both kinds.

// Each suite uses its own part of this.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

pub mod postgres;

use std::sync::Arc;

use diffusion_jobs::Database;
use diffusion_jobs::database::Location;
use tempfile::TempDir;

use self::postgres::Postgres;

/// An open, empty database, and what it lives in.
pub struct Fresh {
    pub database: Database,
    pub location: Location,
    _home: Home,
}

enum Home {
    Folder { _folder: TempDir },
    Server { _server: Arc<Postgres> },
}

impl Fresh {
    /// A file in a temporary folder.
    pub async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let location = Location::Sqlite(folder.path().join("server.db"));
        let database = Database::open(&location).await.unwrap();
        Self { database, location, _home: Home::Folder { _folder: folder } }
    }

    /// A database of the shared server; `None` where Postgres is not installed.
    pub async fn postgres() -> Option<Self> {
        let server = Postgres::shared()?;
        let location = server.location().await;
        let database = Database::open(&location).await.unwrap();
        Some(Self { database, location, _home: Home::Server { _server: server } })
    }
}

/// Makes two tests of each `async fn(&Fresh)`: one on SQLite and one on Postgres.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name(&$crate::support::Fresh::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(fresh) = $crate::support::Fresh::postgres().await {
                    super::$name(&fresh).await;
                }
            }
        }
    )*};
}

pub(crate) use on_both;
