//! The statements.

use std::marker::PhantomData;

use sqlx::AssertSqlSafe;
use sqlx::types::Json;
use uuid::Uuid;

use super::row::now;
use super::{Change, Page, PageOf, Record, Row, Table, check, page};
use crate::database::{both, transaction};
use crate::idempotency::{Once, Remembered, remember};
use crate::{Database, Error, Result};

/// One of the two tables.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a, R> {
    database: &'a Database,
    rows: PhantomData<R>,
}

/// A statement, with the name of the table and of its own column filled in: constants of ours.
pub(crate) fn sql(table: &Table, statement: &str) -> AssertSqlSafe<String> {
    let columns = "id, name, owner, {place}, meta, description, install_ts, update_ts, \
                   created_by_id, updated_by_id";
    let select = columns.replace("{place}", "{place} AS place");
    AssertSqlSafe(
        statement
            .replace("{select}", &select)
            .replace("{columns}", columns)
            .replace("{values}", "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10")
            .replace("{table}", table.name)
            .replace("{place}", table.place),
    )
}

/// Binds every column of a row, in their order.
macro_rules! bind_row {
    ($statement:expr, $row:expr) => {{
        let row: &$crate::records::Row = $row;
        sqlx::query($statement)
            .bind(row.id)
            .bind(&row.name)
            .bind(&row.owner)
            .bind(&row.place)
            .bind(&row.meta)
            .bind(&row.description)
            .bind(row.install_ts)
            .bind(row.update_ts)
            .bind(row.created_by_id)
            .bind(row.updated_by_id)
    }};
}

pub(crate) use bind_row;

impl<'a, R: Record> Records<'a, R> {
    pub(crate) fn of(database: &'a Database) -> Self {
        Self { database, rows: PhantomData }
    }

    /// A page of the list, in the order of name and owner, compared byte by byte.
    ///
    /// # Errors
    /// A limit, search or cursor that cannot be; the database.
    pub async fn list(&self, page: &Page) -> Result<PageOf<R>> {
        let limit = page.limit()?;
        let (name, owner) = page.start()?;
        let pattern = page.pattern()?;
        let statement = sql(
            &R::TABLE,
            "SELECT {select} FROM {table} \
             WHERE (name, owner) > ($1, $2) AND lower(name) LIKE $3 ESCAPE '!' \
             ORDER BY name, owner LIMIT $4",
        );
        let mut rows: Vec<Row> = both!(self.database, pool => {
            let query = sqlx::query_as(statement).bind(name).bind(owner).bind(pattern);
            // One more than asked tells whether there are more.
            query.bind(i64::from(limit) + 1).fetch_all(pool).await?
        });
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| page::behind(&row.name, &row.owner));
        Ok(PageOf { rows: rows.into_iter().map(R::from).collect(), next })
    }

    /// Every row, in the same order.
    ///
    /// # Errors
    /// The database.
    pub async fn all(&self) -> Result<Vec<R>> {
        let statement = sql(&R::TABLE, "SELECT {select} FROM {table} ORDER BY name, owner");
        let rows: Vec<Row> =
            both!(self.database, pool => sqlx::query_as(statement).fetch_all(pool).await?);
        Ok(rows.into_iter().map(R::from).collect())
    }

    /// The row with this key.
    ///
    /// # Errors
    /// There is none; the database.
    pub async fn get(&self, id: Uuid) -> Result<R> {
        let statement = sql(&R::TABLE, "SELECT {select} FROM {table} WHERE id = $1");
        let row: Option<Row> = both!(self.database, pool =>
            sqlx::query_as(statement).bind(id).fetch_optional(pool).await?);
        row.map(R::from).ok_or_else(|| Error::not_found(R::TABLE.what, id))
    }

    /// The rows that people mean by a text: that with this key; else those with this path (of
    /// images); else those with this name; else that with this `owner/name`.
    ///
    /// # Errors
    /// The database.
    pub async fn find(&self, text: &str) -> Result<Vec<R>> {
        // Postgres refuses this character, and no row holds it.
        if text.contains('\0') {
            return Ok(Vec::new());
        }
        let id = Uuid::try_parse(text).ok();
        let (owner, name) = text.split_once('/').unwrap_or_default();
        let by_place = if R::TABLE.found_by_place { " OR {place} = $2" } else { "" };
        let statement = sql(
            &R::TABLE,
            &format!(
                "SELECT {{select}} FROM {{table}} \
                 WHERE id = $1 OR name = $2 OR (name = $3 AND owner = $4){by_place} \
                 ORDER BY name, owner"
            ),
        );
        let mut rows: Vec<Row> = both!(self.database, pool =>
            sqlx::query_as(statement).bind(id).bind(text).bind(name).bind(owner).fetch_all(pool).await?);
        let rank = |row: &Row| match row {
            row if Some(row.id) == id => 0,
            row if R::TABLE.found_by_place && row.place == text => 1,
            row if row.name == text => 2,
            _ => 3,
        };
        let best = rows.iter().map(rank).min();
        rows.retain(|row| Some(rank(row)) == best);
        Ok(rows.into_iter().map(R::from).collect())
    }

    /// The one row that people mean by a text, as [`Records::find`] looks for it.
    ///
    /// # Errors
    /// There is none, or more than one; the database.
    pub async fn find_one(&self, text: &str) -> Result<R> {
        let mut found = self.find(text).await?;
        match (found.pop(), found.len()) {
            (Some(row), 0) => Ok(row),
            (None, _) => Err(Error::not_found(R::TABLE.what, format!("{text:?}"))),
            (Some(row), _) => {
                found.push(row);
                let found: Vec<Row> = found.into_iter().map(Into::into).collect();
                let named: Vec<String> =
                    found.iter().map(|row| format!("{} (owner {})", row.id, row.owner)).collect();
                Err(Error::Conflict(format!(
                    "{} {}s are called {text:?}: name one by its id: {}",
                    found.len(),
                    R::TABLE.what,
                    named.join(", ")
                )))
            }
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// A column with a value that it cannot hold; the same name and owner as another row; the
    /// database.
    pub async fn insert(&self, record: R) -> Result<R> {
        let row: Row = record.into();
        check::row(&row, &R::TABLE)?;
        let statement = sql(&R::TABLE, "INSERT INTO {table} ({columns}) VALUES ({values})");
        let named = Some((row.name.as_str(), row.owner.as_str()));
        both!(self.database, pool => bind_row!(statement, &row)
            .execute(pool)
            .await
            .map(drop)
            .map_err(|error| taken(&R::TABLE, named, error))?);
        Ok(row.into())
    }

    /// As [`Records::insert`], and under one `Idempotency-Key` once: gives what an earlier request
    /// made, if there was one, and then adds nothing.
    ///
    /// # Errors
    /// As [`Records::insert`]; [`Error::Conflict`] where the key was used for another request.
    pub async fn insert_once(&self, record: R, once: Once<'_>) -> Result<Option<Remembered>> {
        let row: Row = record.into();
        check::row(&row, &R::TABLE)?;
        let statement = sql(&R::TABLE, "INSERT INTO {table} ({columns}) VALUES ({values})");
        let named = Some((row.name.as_str(), row.owner.as_str()));
        Ok(transaction!(self.database, tx => {
            let before = remember!(tx, once, row.id, now());
            if before.is_none() {
                let inserted = bind_row!(statement, &row).execute(&mut *tx).await;
                inserted.map_err(|error| taken(&R::TABLE, named, error))?;
            }
            before
        }))
    }

    /// Changes some columns, and says when.
    ///
    /// # Errors
    /// As [`Records::insert`], or there is no such row.
    pub async fn update(&self, id: Uuid, change: &Change) -> Result<R> {
        check::change(change, &R::TABLE)?;
        let statement = sql(
            &R::TABLE,
            "UPDATE {table} SET name = COALESCE($2, name), owner = COALESCE($3, owner), \
             {place} = COALESCE($4, {place}), meta = COALESCE($5, meta), \
             description = CASE WHEN $6 THEN $7 ELSE description END, update_ts = $8 \
             WHERE id = $1 RETURNING {select}",
        );
        let row: Option<Row> = transaction!(self.database, tx => sqlx::query_as(statement)
            .bind(id)
            .bind(&change.name)
            .bind(&change.owner)
            .bind(&change.place)
            .bind(change.meta.as_ref().map(Json))
            .bind(change.description.is_some())
            .bind(change.description.as_ref().and_then(Option::as_ref))
            .bind(now())
            .fetch_optional(&mut *tx)
            .await
            .map_err(|error| taken(&R::TABLE, None, error))?);
        row.map(R::from).ok_or_else(|| Error::not_found(R::TABLE.what, id))
    }

    /// Removes a row; what it stands for stays where it is.
    ///
    /// # Errors
    /// There is none; the database.
    pub async fn delete(&self, id: Uuid) -> Result<()> {
        let statement = sql(&R::TABLE, "DELETE FROM {table} WHERE id = $1");
        let gone = both!(self.database, pool =>
            sqlx::query(statement).bind(id).execute(pool).await?.rows_affected());
        if gone == 0 { Err(Error::not_found(R::TABLE.what, id)) } else { Ok(()) }
    }
}

/// Tells in words that name and owner are taken.
pub(crate) fn taken(table: &Table, named: Option<(&str, &str)>, error: sqlx::Error) -> Error {
    if !error.as_database_error().is_some_and(|error| error.is_unique_violation()) {
        return error.into();
    }
    let what = table.what;
    Error::Conflict(match named {
        Some((name, owner)) => {
            format!("name: owner {owner:?} has another {what} of the name {name:?}")
        }
        None => format!("name: its owner has another {what} of this name"),
    })
}
