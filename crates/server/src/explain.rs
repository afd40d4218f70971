//! Errors in words.

/// An error and its causes in one text. Each is said once: many errors of libraries repeat their
/// cause, and some causes begin with what was said of them.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        match said.last_mut() {
            Some(last) if last.contains(&cause) => {}
            Some(last) if cause.starts_with(&format!("{last}: ")) => *last = cause,
            _ => said.push(cause),
        }
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn nothing_is_said_twice() {
        let error = anyhow!("not found").context("a.json: not found").context("a.json");
        assert_eq!(explain(&error), "a.json: not found");
        let error = anyhow!("not found").context("model x").context("cannot load");
        assert_eq!(explain(&error), "cannot load: model x: not found");
    }
}
