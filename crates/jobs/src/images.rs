//! The data set: the table `da_images`.

use crate::Database;
use crate::records::{Records, Table, record};

/// The owner of an image that names none, as in the original.
pub const DEFAULT_OWNER: &str = "LEONARDO_AI";

record!(
    /// An image of the data set. Whether its file is there is not for the database to say.
    Image,
    /// Where its file is, below a folder of images.
    path,
    Table {
        name: "da_images",
        what: "image",
        place: "path",
        max_owner: crate::records::MAX_TEXT,
        found_by_place: true,
    }
);

impl Database {
    /// The images of the data set.
    pub fn images(&self) -> Records<'_, Image> {
        Records::of(self)
    }
}
