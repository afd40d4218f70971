//! The rows of the two tables that the original has: read, searched, added, changed, removed.
//! Both tables have the same columns but for one name, so each statement is written once.

mod check;
mod page;
mod row;
mod seed;
mod store;

pub use check::{MAX_META, MAX_NAME, MAX_TEXT};
pub use page::{Page, PageOf};
pub use row::{Change, Record, Row, Table};
pub use store::Records;

pub(crate) use check::row as check_row;
pub(crate) use row::{now, record};
pub(crate) use store::{bind_row, sql, taken};
