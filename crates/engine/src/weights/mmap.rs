//! The memory map of a weights file: the one place outside `kernels` that needs `unsafe`.

use std::path::Path;
use std::sync::Arc;

use crate::source::open_file;
use crate::{Error, Result};

/// The bytes of a weights file.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// Mapped, usually from disk; pages are read when they are first used.
    Mapped(Arc<memmap2::Mmap>),
    /// Embedded in the program.
    Static(&'static [u8]),
}

impl Bytes {
    /// Maps a file read-only.
    ///
    /// # Errors
    /// The file cannot be opened or mapped.
    #[allow(unsafe_code)]
    pub fn map(path: &Path) -> Result<Self> {
        let file = open_file(path).map_err(|e| Error::io(path, e))?;
        let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
        if length == 0 {
            return Err(Error::malformed(path, "the file is empty"));
        }
        // SAFETY: the map is read-only and any bytes are valid weights. A file that another
        // process truncates while it is mapped ends this process with SIGBUS; like every program
        // that maps weights, we ask that model files are replaced by renaming, not rewritten.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        Ok(Self::Mapped(Arc::new(map)))
    }

    /// Zeros: a map of no file, of which no page is ever written.
    ///
    /// # Errors
    /// The operating system gives no address space.
    pub fn zeros(length: usize) -> std::io::Result<Self> {
        let map = memmap2::MmapMut::map_anon(length)?.make_read_only()?;
        Ok(Self::Mapped(Arc::new(map)))
    }

    /// Has every page read from disk, and returns when they are.
    pub fn prefetch(&self) {
        // The smallest pages that there are: larger ones are only touched more than once.
        const PAGE: usize = 4096;
        let touched = self.as_slice().iter().step_by(PAGE).fold(0u8, |sum, byte| sum ^ byte);
        std::hint::black_box(touched);
    }

    /// The bytes themselves.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
        }
    }
}
