//! Small texts that the server keeps under names of its own.

use crate::database::{both, transaction};
use crate::{Database, Result};

impl Database {
    /// What is kept under a name.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let select = "SELECT value FROM settings WHERE name = $1";
        Ok(both!(self, pool => sqlx::query_scalar(select).bind(name).fetch_optional(pool).await?))
    }

    /// Changes what is kept under a name, in one transaction: of two changes at once, the second
    /// sees what the first made. The change is given an empty text where nothing is kept.
    ///
    /// # Errors
    /// The database cannot be reached; what `change` refuses.
    pub async fn change_setting<E: From<crate::Error>>(
        &self,
        name: &str,
        change: impl FnOnce(&str) -> std::result::Result<String, E>,
    ) -> std::result::Result<(), E> {
        let changed = async {
            Ok(transaction!(self, tx => {
                // Locks the row, whether it is there or not.
                let lock = "INSERT INTO settings (name, value) VALUES ($1, '') \
                            ON CONFLICT (name) DO UPDATE SET value = settings.value RETURNING value";
                let before: String = sqlx::query_scalar(lock).bind(name).fetch_one(&mut *tx).await?;
                let after = match change(&before) {
                    Ok(after) => after,
                    // Rolls back.
                    Err(refused) => return Ok(Err(refused)),
                };
                let update = "UPDATE settings SET value = $2 WHERE name = $1";
                sqlx::query(update).bind(name).bind(after).execute(&mut *tx).await?;
                Ok(())
            }))
        };
        let changed: Result<std::result::Result<(), E>> = changed.await;
        changed?
    }
}
