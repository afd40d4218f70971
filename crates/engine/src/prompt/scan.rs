//! Characters, and words among them, as Python's `re` sees them.

/// `\s`
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `\w`
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` next stands as a word of its own (`\bWORD\b`), from byte `from` on.
pub(super) fn find_word(text: &str, word: &str, mut from: usize) -> Option<usize> {
    while let Some(found) = text[from..].find(word) {
        let (start, end) = (from + found, from + found + word.len());
        let before = text[..start].chars().next_back();
        let behind = text[end..].chars().next();
        if !before.is_some_and(is_word) && !behind.is_some_and(is_word) {
            return Some(start);
        }
        from = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_they_stand_alone() {
        for (text, found) in [
            ("AND", Some(0)),
            ("a AND b", Some(2)),
            ("(AND)", Some(1)),
            ("ANDAND AND", Some(7)),
            ("SAND, HAND AND", Some(11)),
            ("AND_ _AND 1AND", None),
            ("éAND", None),
            ("and", None),
        ] {
            assert_eq!(find_word(text, "AND", 0), found, "{text}");
        }
    }
}
