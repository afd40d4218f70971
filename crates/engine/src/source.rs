//! Where the files of a model come from: a folder on disk, or bytes embedded in the program.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::weights::Bytes;
use crate::{Error, Result};

/// The files of one model, by their path relative to the model's folder.
#[derive(Debug, Clone)]
pub enum Source {
    /// A diffusers folder.
    Folder(PathBuf),
    /// Files compiled into the program.
    Embedded {
        /// What messages call it.
        name: &'static str,
        /// Relative path (with `/`) and content of each file.
        files: &'static [(&'static str, &'static [u8])],
    },
}

/// The largest JSON or vocabulary file that is read whole.
const MAX_TEXT_BYTES: u64 = 64 << 20;

impl Source {
    /// The path that messages show for a file of this source.
    pub fn path(&self, relative: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(relative),
            Self::Embedded { name, .. } => Path::new(name).join(relative),
        }
    }

    /// Whether the file exists.
    pub fn has(&self, relative: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(relative).is_file(),
            Self::Embedded { .. } => self.embedded(relative).is_some(),
        }
    }

    fn embedded(&self, relative: &str) -> Option<&'static [u8]> {
        match self {
            Self::Folder(_) => None,
            Self::Embedded { files, .. } => {
                files.iter().find(|(path, _)| *path == relative).map(|(_, bytes)| *bytes)
            }
        }
    }

    /// The content of a small file, or `None` where there is none.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than any configuration or vocabulary is.
    pub fn read(&self, relative: &str) -> Result<Option<Cow<'static, [u8]>>> {
        let Self::Folder(folder) = self else {
            return Ok(self.embedded(relative).map(Cow::Borrowed));
        };
        let path = folder.join(relative);
        let file = match open_file(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, error)),
        };
        let size = file.metadata().map_err(|error| Error::io(&path, error))?.len();
        let mut bytes = Vec::new();
        // What is read is limited too: a file may be longer than it says, or grow.
        if size <= MAX_TEXT_BYTES {
            let read = file.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes);
            read.map_err(|error| Error::io(&path, error))?;
        }
        let size = size.max(bytes.len() as u64);
        if size > MAX_TEXT_BYTES {
            return Err(Error::malformed(path, format!("{size} bytes is too large for this file")));
        }
        Ok(Some(Cow::Owned(bytes)))
    }

    /// A JSON file as a value, or `None` where there is none.
    ///
    /// # Errors
    /// As [`Source::read`], or the file is not JSON.
    pub fn json(&self, relative: &str) -> Result<Option<serde_json::Value>> {
        let Some(bytes) = self.read(relative)? else { return Ok(None) };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Error::malformed(self.path(relative), format!("not JSON: {error}"))),
        }
    }

    /// The bytes of a weights file: mapped from disk, or the embedded ones.
    ///
    /// # Errors
    /// The file is missing or cannot be mapped.
    pub fn map(&self, relative: &str) -> Result<Bytes> {
        match self {
            Self::Folder(folder) => Bytes::map(&folder.join(relative)),
            Self::Embedded { .. } => self
                .embedded(relative)
                .map(Bytes::Static)
                .ok_or_else(|| Error::io(self.path(relative), io::ErrorKind::NotFound.into())),
        }
    }
}

/// Opens a regular file. Anything else is refused first: opening a pipe would wait for a writer.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}
