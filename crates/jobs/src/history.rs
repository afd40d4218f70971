//! Reading what became of a job, and deleting it.

use std::collections::HashMap;

use uuid::Uuid;

use crate::database::{Database, both, transaction};
use crate::job::{IMAGE_COLUMNS, JOB_COLUMNS, Job, JobImage};
use crate::{Error, Result, State};

/// How many images of a job are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([i64; State::ALL.len()]);

impl Counts {
    /// Counts images in a state.
    pub fn add(&mut self, state: State, count: i64) {
        self.0[state as usize] += count;
    }

    /// Images in a state.
    pub fn of(&self, state: State) -> i64 {
        self.0[state as usize]
    }
}

/// `$from, …`: so many parameters.
fn places(count: usize, from: usize) -> String {
    let places: Vec<String> = (from..from + count).map(|n| format!("${n}")).collect();
    places.join(", ")
}

impl Database {
    /// A job.
    ///
    /// # Errors
    /// There is none with this id.
    pub async fn job(&self, id: Uuid) -> Result<Job> {
        let select = format!("SELECT {JOB_COLUMNS} FROM jobs WHERE id = $1");
        let job = both!(self, pool => {
            sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(id).fetch_optional(pool).await?
        });
        job.ok_or_else(|| Error::not_found("job", id))
    }

    /// The images of a job, in order.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn job_images(&self, job: Uuid) -> Result<Vec<JobImage>> {
        let select =
            format!("SELECT {IMAGE_COLUMNS} FROM job_images WHERE job_id = $1 ORDER BY idx");
        Ok(both!(self, pool => {
            sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(job).fetch_all(pool).await?
        }))
    }

    /// Where each image of a job stands, in order.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn image_states(&self, job: Uuid) -> Result<Vec<(i32, State)>> {
        let select = "SELECT idx, state FROM job_images WHERE job_id = $1 ORDER BY idx";
        let states: Vec<(i32, String)> =
            both!(self, pool => sqlx::query_as(select).bind(job).fetch_all(pool).await?);
        states.into_iter().map(|(index, state)| Ok((index, state.parse()?))).collect()
    }

    /// These images of a job, in order.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn some_images(&self, job: Uuid, indexes: &[i32]) -> Result<Vec<JobImage>> {
        if indexes.is_empty() {
            return Ok(Vec::new());
        }
        let select = format!(
            "SELECT {IMAGE_COLUMNS} FROM job_images WHERE job_id = $1 AND idx IN ({}) ORDER BY idx",
            places(indexes.len(), 2)
        );
        Ok(both!(self, pool => {
            let select = sqlx::query_as(sqlx::AssertSqlSafe(&*select)).persistent(false).bind(job);
            let select = indexes.iter().fold(select, |select, index| select.bind(index));
            select.fetch_all(pool).await?
        }))
    }

    /// The first images of each of these jobs, at most `most` of one, in order.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn first_images(&self, jobs: &[Uuid], most: i32) -> Result<Vec<JobImage>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let select = format!(
            "SELECT {IMAGE_COLUMNS} FROM job_images WHERE job_id IN ({}) AND idx < $1 \
             ORDER BY job_id, idx",
            places(jobs.len(), 2)
        );
        Ok(both!(self, pool => {
            let select = sqlx::query_as(sqlx::AssertSqlSafe(&*select)).bind(most);
            jobs.iter().fold(select, |select, job| select.bind(job)).fetch_all(pool).await?
        }))
    }

    /// How many images of each of these jobs are in which state.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn image_counts(&self, jobs: &[Uuid]) -> Result<HashMap<Uuid, Counts>> {
        let mut counts = HashMap::new();
        if jobs.is_empty() {
            return Ok(counts);
        }
        let select = format!(
            "SELECT job_id, state, count(*) FROM job_images WHERE job_id IN ({}) \
             GROUP BY job_id, state",
            places(jobs.len(), 1)
        );
        let rows: Vec<(Uuid, String, i64)> = both!(self, pool => {
            let select = sqlx::query_as(sqlx::AssertSqlSafe(&*select));
            jobs.iter().fold(select, |select, job| select.bind(job)).fetch_all(pool).await?
        });
        for (job, state, count) in rows {
            let counts: &mut Counts = counts.entry(job).or_default();
            counts.add(state.parse()?, count);
        }
        Ok(counts)
    }

    /// The image of a job whose result has this file name.
    ///
    /// # Errors
    /// There is no such image.
    pub async fn job_image_named(&self, job: Uuid, name: &str) -> Result<JobImage> {
        let missing = || Error::not_found("image", format!("{job}/{name}"));
        // Postgres refuses this character, and no row holds it.
        if name.contains('\0') {
            return Err(missing());
        }
        let select = format!(
            "SELECT {IMAGE_COLUMNS} FROM job_images WHERE job_id = $1 AND output_name = $2 \
             ORDER BY idx LIMIT 1"
        );
        let image = both!(self, pool => {
            sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(job).bind(name).fetch_optional(pool).await?
        });
        image.ok_or_else(missing)
    }

    /// One image of a job.
    ///
    /// # Errors
    /// There is no such image.
    pub async fn job_image(&self, job: Uuid, index: i32) -> Result<JobImage> {
        let select =
            format!("SELECT {IMAGE_COLUMNS} FROM job_images WHERE job_id = $1 AND idx = $2");
        let image = both!(self, pool => {
            sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(job).bind(index).fetch_optional(pool).await?
        });
        image.ok_or_else(|| Error::not_found("image", format!("{job}/{index}")))
    }

    /// Deletes a job that has ended, and its images' rows. Their files go with the next sweep.
    ///
    /// # Errors
    /// There is no such job; [`Error::Conflict`] where it has not ended.
    pub async fn delete_job(&self, id: Uuid) -> Result<()> {
        let state = self.job(id).await?.state;
        let conflict =
            |state| Error::Conflict(format!("job {id} is {state}: cancel it before it is deleted"));
        if !state.is_final() {
            return Err(conflict(state));
        }
        let deleted = transaction!(self, tx => {
            let delete = "DELETE FROM jobs WHERE id = $1 AND state NOT IN ('queued', 'running')";
            sqlx::query(delete).bind(id).execute(&mut *tx).await?.rows_affected()
        });
        if deleted == 1 { Ok(()) } else { Err(conflict(State::Queued)) }
    }
}
