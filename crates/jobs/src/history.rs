//! Reading what became of jobs, and deleting it.

use std::collections::HashMap;

use uuid::Uuid;

use crate::database::{Database, both, transaction};
use crate::job::{IMAGE_COLUMNS, Job, JobImage};
use crate::{Error, Result, State};

/// Which jobs to list. Each condition that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Asked for by this key.
    pub owner: Option<Uuid>,
    /// Made before this one.
    pub before: Option<Uuid>,
    /// That came through the dialect of this name.
    pub dialect: Option<String>,
    /// Whose request has this label.
    pub label: Option<String>,
}

/// The jobs of a [`Filter`], whose values are bound in this order.
const FILTERED: &str = "FROM jobs WHERE ($1 IS NULL OR state = $1) AND ($2 IS NULL OR kind = $2) \
    AND ($3 IS NULL OR owner = $3) AND ($4 IS NULL OR id < $4) \
    AND ($5 IS NULL OR request ->> 'dialect' = $5) AND ($6 IS NULL OR request ->> 'label' = $6)";

impl Filter {
    /// Whether a job can be like this: Postgres refuses texts with this character, and no row
    /// holds one.
    fn can_hold(&self) -> bool {
        !self.label.as_ref().is_some_and(|label| label.contains('\0'))
    }
}

/// A page of a list, the newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins, if there is one.
    pub next: Option<Uuid>,
}

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

/// `$from, …`: a parameter for each of these jobs.
fn places(jobs: &[Uuid], from: usize) -> String {
    let places: Vec<String> = (from..from + jobs.len()).map(|n| format!("${n}")).collect();
    places.join(", ")
}

const JOB_COLUMNS: &str =
    "id, kind, state, request, owner, priority, created_at, started_at, finished_at, version";

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
            places(jobs, 2)
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
            places(jobs, 1)
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

    /// Jobs, the newest first.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn jobs(&self, filter: &Filter, limit: u32) -> Result<Page<Job>> {
        let mut items = self.ordered(filter, "DESC", i64::from(limit) + 1).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Ok(Page { next: items.last().filter(|_| more).map(|job| job.id), items })
    }

    /// The oldest of these jobs.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn oldest_job(&self, filter: &Filter) -> Result<Option<Job>> {
        Ok(self.ordered(filter, "ASC", 1).await?.pop())
    }

    /// How many of these jobs there are.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn count_jobs(&self, filter: &Filter) -> Result<i64> {
        if !filter.can_hold() {
            return Ok(0);
        }
        let select = format!("SELECT COUNT(*) {FILTERED}");
        Ok(both!(self, pool => {
            sqlx::query_scalar(sqlx::AssertSqlSafe(select))
                .bind(filter.state.map(State::name)).bind(&filter.kind).bind(filter.owner)
                .bind(filter.before).bind(&filter.dialect).bind(&filter.label)
                .fetch_one(pool).await?
        }))
    }

    async fn ordered(&self, filter: &Filter, order: &str, limit: i64) -> Result<Vec<Job>> {
        if !filter.can_hold() {
            return Ok(Vec::new());
        }
        let select = format!("SELECT {JOB_COLUMNS} {FILTERED} ORDER BY id {order} LIMIT $7");
        Ok(both!(self, pool => {
            sqlx::query_as(sqlx::AssertSqlSafe(select))
                .bind(filter.state.map(State::name)).bind(&filter.kind).bind(filter.owner)
                .bind(filter.before).bind(&filter.dialect).bind(&filter.label).bind(limit)
                .fetch_all(pool).await?
        }))
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
