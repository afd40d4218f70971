//! One page of a list, and where the next one begins.

use crate::{Error, Result};

/// What part of a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The most rows, 1 to [`Page::MAX`]; [`Page::DEFAULT`] where it is not said.
    pub limit: Option<u32>,
    /// [`PageOf::next`] of the page before.
    pub after: Option<String>,
    /// Only rows whose name contains this; ASCII letters match in either case.
    pub search: Option<String>,
}

/// A page: its rows, in the order of name and owner.
#[derive(Debug, Clone, PartialEq)]
pub struct PageOf<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// What to ask the next page with; `None` on the last one.
    pub next: Option<String>,
}

impl Page {
    /// The most rows of a page.
    pub const MAX: u32 = 1000;
    /// The rows of a page that says nothing else.
    pub const DEFAULT: u32 = 100;

    /// The page of a list that is at hand as a whole. `key` tells name and owner of a row; no two
    /// rows have the same.
    ///
    /// # Errors
    /// A limit, search or cursor that cannot be.
    pub fn cut<R>(&self, mut rows: Vec<R>, key: impl Fn(&R) -> (&str, &str)) -> Result<PageOf<R>> {
        let limit = self.limit()? as usize;
        self.pattern()?;
        let search = self.search.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (name, owner) = self.start()?;
        rows.retain(|row| {
            let key = key(row);
            key > (&*name, &*owner) && key.0.to_ascii_lowercase().contains(&search)
        });
        rows.sort_by(|a, b| key(a).cmp(&key(b)));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more).map(&key);
        let next = last.map(|(name, owner)| behind(name, owner));
        Ok(PageOf { rows, next })
    }

    /// The checked limit.
    pub(super) fn limit(&self) -> Result<u32> {
        match self.limit.unwrap_or(Self::DEFAULT) {
            limit @ 1..=Self::MAX => Ok(limit),
            limit => Err(Error::Invalid(format!("limit: {limit} is not 1 to {}", Self::MAX))),
        }
    }

    /// The pattern that names must match in lower case, with `!` for what is meant literally.
    pub(super) fn pattern(&self) -> Result<String> {
        let search = self.search.as_deref().unwrap_or_default();
        if search.contains('\0') || search.chars().count() > super::MAX_NAME {
            return Err(Error::Invalid("search: it can be no part of a name".into()));
        }
        let mut pattern = String::from("%");
        for c in search.to_ascii_lowercase().chars() {
            if matches!(c, '!' | '%' | '_') {
                pattern.push('!');
            }
            pattern.push(c);
        }
        pattern.push('%');
        Ok(pattern)
    }

    /// Name and owner of the last row before the page; no row has empty ones.
    pub(super) fn start(&self) -> Result<(String, String)> {
        let Some(after) = &self.after else { return Ok(Default::default()) };
        let read = || {
            let text = String::from_utf8(hex::decode(after).ok()?).ok()?;
            let (name, owner) = text.split_once('\0')?;
            (!owner.contains('\0')).then(|| (name.to_owned(), owner.to_owned()))
        };
        read().ok_or_else(|| Error::Invalid("cursor: not one that this server gave".into()))
    }
}

/// The cursor behind a row.
pub(super) fn behind(name: &str, owner: &str) -> String {
    hex::encode(format!("{name}\0{owner}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursors_are_read_back(name in "[^\0]+", owner in "[^\0]+") {
            let page = Page { after: Some(behind(&name, &owner)), ..Page::default() };
            prop_assert_eq!(page.start().unwrap(), (name, owner));
        }

        #[test]
        fn any_cursor_is_read_or_refused(after in ".*", hex in "[0-9a-f]*") {
            for after in [after, hex] {
                let _ = Page { after: Some(after), ..Page::default() }.start();
            }
        }
    }

    #[test]
    fn a_list_at_hand_is_cut_as_one_in_the_database() {
        let rows = vec![("b", ""), ("a%", "2"), ("A%", "1"), ("c%", "")];
        let mut page = Page { limit: Some(2), search: Some("%".into()), after: None };
        let first = page.cut(rows.clone(), |row| *row).unwrap();
        assert_eq!(first.rows, [("A%", "1"), ("a%", "2")]);
        page.after = first.next;
        let last = page.cut(rows, |row| *row).unwrap();
        assert_eq!(last, PageOf { rows: vec![("c%", "")], next: None });
    }

    #[test]
    fn what_is_searched_is_meant_literally() {
        let page = Page { search: Some("50%_A!".into()), ..Page::default() };
        assert_eq!(page.pattern().unwrap(), "%50!%!_a!!%");
        assert_eq!(Page::default().pattern().unwrap(), "%%");
        let page = Page { search: Some("\0".into()), ..Page::default() };
        assert!(page.pattern().is_err());
    }

    #[test]
    fn limits_are_bounded() {
        let limit = |limit| Page { limit: Some(limit), ..Page::default() }.limit();
        assert_eq!(limit(Page::MAX).unwrap(), Page::MAX);
        assert!(limit(0).is_err() && limit(Page::MAX + 1).is_err());
    }
}
