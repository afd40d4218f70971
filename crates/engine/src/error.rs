//! The one error type of the engine: what happened, where, and what to do about it.

use std::path::PathBuf;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong between a folder of weights and an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A file is not what it should be: broken JSON, a truncated or inconsistent header, …
    #[error("{path}: {message}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },

    /// A configuration value that would change the picture and that this engine does not implement.
    #[error("{place}: {key} = {value} is not supported ({supported})")]
    Unsupported {
        /// The file or component that holds the value.
        place: String,
        /// The configuration key.
        key: String,
        /// The value found, as JSON.
        value: String,
        /// What is supported instead.
        supported: String,
    },

    /// A tensor that the model needs is not in its weights, or has another shape.
    #[error("{path}: tensor {name}: {message}", path = path.display())]
    Tensor {
        /// The weights file or folder.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// What is wrong.
        message: String,
    },

    /// An input image that cannot be decoded or exceeds the limits.
    #[error("image: {0}")]
    Image(String),

    /// A value of a plan that cannot be carried out.
    #[error("{field} {message}")]
    Plan {
        /// Which of the plan's fields it is.
        field: &'static str,
        /// The value, and what would do.
        message: String,
    },

    /// Something else that cannot be done as asked.
    #[error("{0}")]
    Invalid(String),

    /// The plan needs more memory than it may take.
    #[error(
        "needs {} MiB at its peak, and the memory limit is {} MiB: ask for a smaller image or raise the limit",
        needed >> 20, limit >> 20
    )]
    Memory {
        /// Planned peak in bytes.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// An I/O error with its path.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// A value of a plan that is out of range.
    pub(crate) fn plan(field: &'static str, message: impl Into<String>) -> Self {
        Self::Plan { field, message: message.into() }
    }

    /// A file that is not what it should be.
    pub fn malformed(path: impl Into<PathBuf>, message: impl std::fmt::Display) -> Self {
        Self::Malformed { path: path.into(), message: one_line(&message.to_string()) }
    }
}

/// A message that may quote a file, as one line of moderate length without control characters.
fn one_line(message: &str) -> String {
    const MAX_CHARS: usize = 400;
    let mut line = String::new();
    for (i, c) in message.chars().enumerate() {
        match c {
            _ if i == MAX_CHARS => {
                line.push('…');
                break;
            }
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_cannot_spoil_the_terminal() {
        let error = Error::malformed("a.json", "no \"\u{1b}[2J\n\" in ü");
        assert_eq!(error.to_string(), "a.json: no \"\\u{1b}[2J\\n\" in ü");
        let long = Error::malformed("a.json", "x".repeat(1 << 20)).to_string();
        assert_eq!(long.chars().count(), "a.json: ".len() + 401);
    }
}
