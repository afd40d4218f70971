//! What a fresh database begins with.

use super::store::{bind_row, sql};
use super::{Record, Row, Table, check, row};
use crate::database::transaction;
use crate::images::Image;
use crate::models::Model;
use crate::{Database, Result};

/// The setting that says that the rows were added: what is removed later stays removed.
const SEEDED: &str = "seeded_at";

impl Database {
    /// Adds these rows to a database that has never been seeded, all or none; whether it did.
    /// Rows whose name and owner are taken are left out. Several processes may call this at once.
    ///
    /// # Errors
    /// A column with a value that it cannot hold; the database.
    pub async fn seed(&self, images: &[Image], models: &[Model]) -> Result<bool> {
        let images = images.iter().map(|image| (Image::TABLE, Row::from(image.clone())));
        let models = models.iter().map(|model| (Model::TABLE, Row::from(model.clone())));
        let rows: Vec<(Table, Row)> = images.chain(models).collect();
        for (table, row) in &rows {
            check::row(row, table)?;
        }
        let first = transaction!(self, tx => {
            let mark = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            let at = row::now().to_rfc3339();
            let marked = sqlx::query(mark).bind(SEEDED).bind(at).execute(&mut *tx).await?;
            let first = marked.rows_affected() == 1;
            for (table, row) in rows.iter().filter(|_| first) {
                let insert = "INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING";
                bind_row!(sql(table, insert), row).execute(&mut *tx).await?;
            }
            first
        });
        Ok(first)
    }
}
