//! Many rows in one statement: each statement is a way to the server and back.

/// Rows that go into one statement; so many that no database runs out of parameters.
pub(crate) const BATCH: usize = 500;

/// `(…), (…)`: as many rows of this form, whose `?` become parameters that are numbered on from
/// `first`.
pub(crate) fn rows(form: &str, count: usize, first: usize) -> String {
    let mut next = first;
    let mut all = String::with_capacity(count * (form.len() + 16));
    for row in 0..count {
        if row > 0 {
            all.push_str(", ");
        }
        for (part, text) in form.split('?').enumerate() {
            if part > 0 {
                all.push('$');
                all.push_str(&next.to_string());
                next += 1;
            }
            all.push_str(text);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_on() {
        assert_eq!(rows("($1, ?, 'a', ?)", 2, 3), "($1, $3, 'a', $4), ($1, $5, 'a', $6)");
        assert_eq!(rows("(?)", 1, 1), "($1)");
    }
}
