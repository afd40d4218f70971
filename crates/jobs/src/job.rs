//! A job and its images, as they are recorded.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::Error;

/// What became of a job or of one of its images.
///
/// A job's state follows from its images: it runs once one of them does, and ends when all have:
/// `failed` if one failed, else `cancelled` if one was cancelled, else `succeeded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// All images are there.
    Succeeded,
    /// An image could not be made; others may be there.
    Failed,
    /// It was asked to end.
    Cancelled,
}

impl State {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The name in the database and over HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to it.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Invalid(format!("state: {name:?} is none of {names}"))
        })
    }
}

impl TryFrom<String> for State {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

/// Which of one owner's jobs goes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before the others.
    High,
    /// The usual.
    #[default]
    Normal,
    /// After the others.
    Low,
}

impl Priority {
    /// As stored: 0 goes first.
    pub(crate) fn rank(self) -> i32 {
        self as i32
    }
}

impl TryFrom<i32> for Priority {
    type Error = Error;

    fn try_from(rank: i32) -> Result<Self, Error> {
        match rank {
            0 => Ok(Self::High),
            1 => Ok(Self::Normal),
            2 => Ok(Self::Low),
            _ => Err(Error::Invalid(format!("priority: there is no rank {rank}"))),
        }
    }
}

/// A job as it is to be stored.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What kind of request it is: `txt2img`, `img2img`, `random`.
    pub kind: String,
    /// The request as asked, defaults filled in.
    pub request: Value,
    /// The key that asks.
    pub owner: Option<Uuid>,
    /// Its place among the owner's jobs.
    pub priority: Priority,
    /// One for each image; at least one.
    pub images: Vec<NewImage>,
}

/// An image as it is to be made.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// All that decides its bytes.
    pub plan: Value,
    /// The picture of the data set that it is drawn from.
    pub input_path: Option<String>,
    /// The file name of the result.
    pub output_name: String,
}

/// A job as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Job {
    /// Unique; in the order of making.
    pub id: Uuid,
    /// As [`NewJob::kind`].
    pub kind: String,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: State,
    /// As [`NewJob::request`].
    pub request: Json<Value>,
    /// The key that asked.
    pub owner: Option<Uuid>,
    /// Its place among the owner's jobs.
    #[sqlx(try_from = "i32")]
    pub priority: Priority,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its first image was begun.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last image ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Grows with each change that can be seen.
    pub version: i64,
}

/// An image of a job as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JobImage {
    /// Its job.
    pub job_id: Uuid,
    /// Its place in the job, from 0.
    pub idx: i32,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: State,
    /// As [`NewImage::plan`].
    pub plan: Json<Value>,
    /// As [`NewImage::input_path`].
    pub input_path: Option<String>,
    /// As [`NewImage::output_name`].
    pub output_name: String,
    /// When its first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Time that its last attempt took.
    pub seconds: Option<f64>,
    /// Why it failed.
    pub error: Option<String>,
    /// SHA-256 of the file, in hexadecimal digits. Set where the file is stored.
    pub sha256: Option<String>,
    /// Size of the file.
    pub bytes: Option<i64>,
    /// In pixels.
    pub width: Option<i32>,
    /// In pixels.
    pub height: Option<i32>,
}

/// The columns of [`Job`].
pub(crate) const JOB_COLUMNS: &str =
    "id, kind, state, request, owner, priority, created_at, started_at, finished_at, version";

/// The columns of [`JobImage`].
pub(crate) const IMAGE_COLUMNS: &str = "job_id, idx, state, plan, input_path, output_name, \
     started_at, finished_at, seconds, error, sha256, bytes, width, height";
