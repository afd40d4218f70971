//! The one error type of this crate: what happened, where, and what to do about it.

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a request and its record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, or refused a statement.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),

    /// The database does not answer; what was asked of it may have happened.
    #[error("database: no answer within {} seconds", .0.as_secs())]
    Silent(std::time::Duration),

    /// The tables cannot be made or brought up to date.
    #[error("database migration: {0}")]
    Migration(String),

    /// River failed.
    #[error("queue: {0}")]
    Queue(#[from] riverqueue::Error),

    /// An artifact cannot be stored or read.
    #[error("storage: {0}")]
    Storage(#[from] object_store::Error),

    /// A stored file is not what was stored.
    #[error("the stored {what} {hash} is damaged: its content has another hash")]
    Damaged {
        /// What it is.
        what: &'static str,
        /// The hash under which it was stored.
        hash: String,
    },

    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// There is no such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was looked for: a job, an image, …
        what: &'static str,
        /// As it was named.
        id: String,
    },

    /// What is asked cannot be done with the state of things, such as the retry of a running job.
    #[error("{0}")]
    Conflict(String),

    /// Too much waits already.
    #[error("{waiting} images wait already, and {limit} may: try again later")]
    Backlog {
        /// Images that wait.
        waiting: i64,
        /// The most that may.
        limit: i64,
    },

    /// Another attempt has taken over, or the image was cancelled: what this one made is not wanted.
    #[error("this attempt has been superseded")]
    Superseded,

    /// A field of what is asked is not valid.
    #[error("{field}: {message}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong, and what would do.
        message: String,
    },

    /// What is asked is not valid. The message names the field.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// An I/O error with its path.
    pub fn io(path: impl Into<std::path::PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// A field that is not valid.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Field { field: field.into(), message: message.into() }
    }

    /// Nothing of this kind has this id.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// Whether the same may work later: the database or the storage cannot be reached.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(error) => match error {
                sqlx::Error::Database(error) => {
                    let code = error.code().unwrap_or_default();
                    match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                        // Busy, locked, unreadable or full; the low byte is the kind of the error.
                        Some(_) => code
                            .parse::<u32>()
                            .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14)),
                        // Connection lost, out of resources, shutting down, not available yet, or
                        // a transaction that was in the way of another.
                        None => ["08", "53", "57P", "55P03", "40"]
                            .iter()
                            .any(|class| code.starts_with(class)),
                    }
                }
                sqlx::Error::RowNotFound
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::Decode(_) => false,
                _ => true,
            },
            Self::Silent(_) | Self::Queue(_) | Self::Storage(_) | Self::Io { .. } => true,
            _ => false,
        }
    }
}
