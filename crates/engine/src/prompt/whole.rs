//! What the syntax does to a prompt as a whole, before its brackets are looked at.
//!
//! The web UI reads three things of a prompt, and none of them of a negative prompt, where the same
//! characters are plain text: `<name:…>` loads an extra network (a name that it does not know is
//! dropped), the word `AND` in capitals, wherever it stands and whatever is around it, splits the
//! prompt into several that are composed, and a number behind a colon at the end of each is its
//! weight in that. None of this can be done here, and leaving it out would be another picture.

use super::PromptError;
use super::error::quoted;
use super::scan::{find_word, is_space, is_word};

/// Which of a plan's two prompts is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What the image shows.
    Prompt,
    /// What guidance steers away from.
    Negative,
}

impl Role {
    /// The field of [`crate::Plan`] that it is.
    pub fn field(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Negative => "negative_prompt",
        }
    }
}

/// The prompt without comments (from `#` to the end of the line).
///
/// # Errors
/// It composes prompts or loads networks.
pub fn read(prompt: &str, role: Role) -> Result<String, PromptError> {
    let mut text = without_comments(prompt);
    if role == Role::Negative {
        return Ok(text);
    }
    if let Some(name) = network(&text) {
        return Err(PromptError::Network(quoted(name)));
    }
    if find_word(&text, "AND", 0).is_some() {
        return Err(PromptError::And);
    }
    let kept = text.trim_end_matches(is_space);
    let kept = match own_weight(kept) {
        // The weight that it has anyway.
        Some((rest, weight)) if weight.parse() == Ok(1.0) => rest.len(),
        Some((_, weight)) => return Err(PromptError::OwnWeight(quoted(weight))),
        None => kept.len(),
    };
    text.truncate(kept);
    Ok(text)
}

/// A comment and the end of its line become one new line.
fn without_comments(prompt: &str) -> String {
    if !prompt.contains('#') {
        return prompt.to_owned();
    }
    let mut text = String::with_capacity(prompt.len());
    for line in prompt.split_inclusive('\n') {
        match line.find('#') {
            None => text.push_str(line),
            Some(start) => {
                text.push_str(&line[..start]);
                text.push('\n');
            }
        }
    }
    text
}

/// The name of the first `<name:…>`.
fn network(text: &str) -> Option<&str> {
    let last = text.rfind('>')?;
    for (start, _) in text.match_indices('<') {
        let rest = &text[start + 1..];
        let name = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        let value = start + 1 + name.len() + 1;
        let is_named = !name.is_empty() && rest[name.len()..].starts_with(':');
        if is_named && value < last && !text[value..].starts_with('>') {
            return Some(name);
        }
    }
    None
}

/// A number behind the last colon, with what comes before both.
fn own_weight(text: &str) -> Option<(&str, &str)> {
    let (rest, number) = text.rsplit_once(':')?;
    let number = number.trim_start_matches(is_space);
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let has_form = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.bytes().filter(|b| *b == b'.').count() <= 1
        && digits != ".";
    has_form.then(|| (rest.trim_end_matches(is_space), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(text: &str) -> Result<String, PromptError> {
        read(text, Role::Prompt)
    }

    #[test]
    fn what_cannot_be_done_is_named_and_in_a_negative_prompt_is_text() {
        for (text, error) in [
            ("a cat AND a dog", PromptError::And),
            ("(a:1.2) AND", PromptError::And),
            ("(cat AND dog)", PromptError::And),
            ("cat <lora:dog:1>", PromptError::Network("lora".into())),
            ("<a <hypernet:x>", PromptError::Network("hypernet".into())),
            ("AND <what:ever>", PromptError::Network("what".into())),
            ("a cat :1.2 ", PromptError::OwnWeight("1.2".into())),
            ("a cat: -2.", PromptError::OwnWeight("-2.".into())),
            ("in 16:9", PromptError::OwnWeight("9".into())),
        ] {
            assert_eq!(prompt(text), Err(error), "{text}");
            assert_eq!(read(text, Role::Negative).unwrap(), text);
        }
    }

    #[test]
    fn what_only_looks_alike_is_text() {
        for text in [
            "",
            "sand and Hands",
            "BRAND new, ANDROID",
            "a <b> c",
            "a <:b>",
            "<lora:>",
            "<lora:x",
            "a > b < c",
            "(a:1.2)",
            "[a:b:0.5]",
            "a:.",
            "a:1.2.3",
            "a:1e3",
            "1.2",
        ] {
            assert_eq!(prompt(text).as_deref(), Ok(text));
        }
        assert_eq!(prompt("a cat : 1.0 ").as_deref(), Ok("a cat"));
        assert_eq!(prompt("a cat \n").as_deref(), Ok("a cat"));
    }

    #[test]
    fn comments_end_with_their_line() {
        for (text, kept) in [
            ("a # b\nc", "a \nc"),
            ("# all of it", ""),
            ("a\n# b <lora:x:1> AND\nc", "a\n\nc"),
            ("a #", "a"),
        ] {
            assert_eq!(prompt(text).as_deref(), Ok(kept));
        }
    }
}
