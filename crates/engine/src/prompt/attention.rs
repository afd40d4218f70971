//! Weights: from a text to its parts and how much each counts.
//!
//! `(a)` is 1.1 times as much, `[a]` 1.1 times less, `(a:1.3)` 1.3 times; brackets around brackets
//! multiply, and one that is never closed counts to the end. `\(`, `\)`, `\[`, `\]` and `\\` are
//! the characters themselves. Round and square brackets need not nest in each other.

use super::error::quoted;
use super::scan::{find_word, is_space};
use super::{MAX_NESTING, MAX_WEIGHT, PromptError};

/// What fills up a chunk.
const BREAK: &str = "BREAK";
/// Marks [`BREAK`] among parts, as the weight that it has in the web UI's own list: a break within
/// weighted brackets becomes a word of the text there, and so here.
const BREAK_WEIGHT: f64 = -1.0;

/// A part of a text that counts alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its characters, escapes resolved.
    pub text: String,
    /// How much it counts; 1 is as usual.
    pub weight: f64,
}

impl Part {
    pub(super) fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), weight: 1.0 }
    }

    /// Whether it is no text but the end of a chunk.
    pub fn is_break(&self) -> bool {
        self.weight == BREAK_WEIGHT && self.text == BREAK
    }
}

/// Splits a text into parts; neighbours differ in weight, and there is at least one.
///
/// # Errors
/// A weight is no number or too large, or brackets nest too deep.
pub fn read(text: &str) -> Result<Vec<Part>, PromptError> {
    let mut reader = Reader::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\\' => {
                let escaped = rest[1..].starts_with(['(', ')', '[', ']', '\\']);
                let length = if escaped { 2 } else { 1 };
                // A backslash before anything else is dropped.
                reader.parts.push(Part::plain(&rest[1..length]));
                length
            }
            '(' | '[' => {
                reader.open(first == '(')?;
                1
            }
            ')' | ']' => {
                reader.close(first == ')', &rest[..1]);
                1
            }
            ':' => match weight(rest) {
                Some((number, length)) => {
                    reader.close_with(number, &rest[..length])?;
                    length
                }
                None => {
                    reader.text(":");
                    1
                }
            },
            _ => {
                let length = rest.find(['\\', '(', ')', '[', ']', ':']).unwrap_or(rest.len());
                reader.text(&rest[..length]);
                length
            }
        };
        rest = &rest[length..];
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    parts: Vec<Part>,
    /// For each open bracket, how many parts lie before it.
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Reader {
    const ROUND: f64 = 1.1;
    const SQUARE: f64 = 1.0 / 1.1;

    fn open(&mut self, is_round: bool) -> Result<(), PromptError> {
        if self.round.len() + self.square.len() == MAX_NESTING {
            return Err(PromptError::Nesting);
        }
        let open = if is_round { &mut self.round } else { &mut self.square };
        open.push(self.parts.len());
        Ok(())
    }

    /// Closes the last bracket of the kind; with none open, the characters are text.
    fn close(&mut self, is_round: bool, characters: &str) {
        let (open, factor) = if is_round {
            (&mut self.round, Self::ROUND)
        } else {
            (&mut self.square, Self::SQUARE)
        };
        match open.pop() {
            Some(start) => self.multiply(start, factor),
            None => self.text(characters),
        }
    }

    /// Closes the last round bracket with a weight.
    fn close_with(&mut self, number: &str, characters: &str) -> Result<(), PromptError> {
        match self.round.pop() {
            Some(start) => {
                let weight = number.parse().map_err(|_| PromptError::NoNumber(quoted(number)))?;
                self.multiply(start, weight);
            }
            None => self.text(characters),
        }
        Ok(())
    }

    fn multiply(&mut self, start: usize, factor: f64) {
        self.parts[start..].iter_mut().for_each(|part| part.weight *= factor);
    }

    /// Text, in which `BREAK` may stand; it takes the white space around it away.
    fn text(&mut self, text: &str) {
        let mut start = 0;
        while let Some(found) = find_word(text, BREAK, start) {
            self.parts.push(Part::plain(text[start..found].trim_end_matches(is_space)));
            self.parts.push(Part { text: BREAK.to_owned(), weight: BREAK_WEIGHT });
            let behind = &text[found + BREAK.len()..];
            start = text.len() - behind.trim_start_matches(is_space).len();
        }
        self.parts.push(Part::plain(&text[start..]));
    }

    fn finish(mut self) -> Result<Vec<Part>, PromptError> {
        for start in std::mem::take(&mut self.round) {
            self.multiply(start, Self::ROUND);
        }
        for start in std::mem::take(&mut self.square) {
            self.multiply(start, Self::SQUARE);
        }
        let mut parts: Vec<Part> = Vec::new();
        for part in self.parts {
            if part.weight.is_nan() || part.weight.abs() > MAX_WEIGHT {
                return Err(PromptError::Weight(part.weight));
            }
            match parts.last_mut() {
                Some(last) if last.weight == part.weight => last.text.push_str(&part.text),
                _ => parts.push(part),
            }
        }
        if parts.is_empty() {
            parts.push(Part::plain(""));
        }
        Ok(parts)
    }
}

/// The number of a `:1.2)` at the start of `text`, and the length of all of it.
fn weight(text: &str) -> Option<(&str, usize)> {
    let number = text[1..].trim_start_matches(is_space);
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let behind = digits.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let rest = behind.trim_start_matches(is_space).strip_prefix(')')?;
    let number = &number[..number.len() - behind.len()];
    (behind.len() < digits.len()).then_some((number, text.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(String, f64)> {
        read(text).unwrap().into_iter().map(|part| (part.text, part.weight)).collect()
    }

    #[test]
    fn forms_and_their_weights() {
        let cases: &[(&str, &[(&str, f64)])] = &[
            ("stone wall", &[("stone wall", 1.0)]),
            ("", &[("", 1.0)]),
            ("()", &[("", 1.0)]),
            ("[a]", &[("a", 1.0 / 1.1)]),
            ("(moss), snow", &[("moss", 1.1), (", snow", 1.0)]),
            // Inner weights multiply with outer ones, of either kind.
            ("(big (fern:0.5) leaf:1.2)", &[("big ", 1.2), ("fern", 0.6), (" leaf", 1.2)]),
            (
                "[old (oak:2) bark]",
                &[("old ", 1.0 / 1.1), ("oak", 2.0 / 1.1), (" bark", 1.0 / 1.1)],
            ),
            // What is never closed counts to the end.
            ("mist [low", &[("mist ", 1.0), ("low", 1.0 / 1.1)]),
            ("(oak, (elm", &[("oak, ", 1.1), ("elm", 1.1 * 1.1)]),
            // Neighbours of one weight are one part.
            ("(ash:1.3)(elm:1.3) oak", &[("ashelm", 1.3), (" oak", 1.0)]),
            ("[[a]]", &[("a", 1.0 / 1.1 * (1.0 / 1.1))]),
            ("(a: 1.5 )b", &[("a", 1.5), ("b", 1.0)]),
            ("(a:-.5)", &[("a", -0.5)]),
            ("(a:b)", &[("a:b", 1.1)]),
            ("a:1.2)", &[("a:1.2)", 1.0)]),
            ("a) ]b", &[("a) ]b", 1.0)]),
            ("(a [b) c]", &[("a ", 1.1), ("b", 1.1 / 1.1), (" c", 1.0 / 1.1)]),
            ("a\\b \\\\ \\", &[("ab \\ ", 1.0)]),
            ("5\\) a\\[b\\]c\\(", &[("5) a[b]c(", 1.0)]),
            ("(a\\) b)", &[("a) b", 1.1)]),
            ("(a:0)", &[("a", 0.0)]),
        ];
        for (text, want) in cases {
            let got = parts(text);
            assert_eq!(got.len(), want.len(), "{text}: {got:?}");
            for ((text, weight), (want_text, want_weight)) in got.iter().zip(*want) {
                assert_eq!(text, want_text);
                assert!((weight - want_weight).abs() < 1e-12, "{text}: {weight}");
            }
        }
    }

    #[test]
    fn breaks_stand_between_parts() {
        let texts = |text: &str| -> Vec<String> {
            let shown = |part: Part| if part.is_break() { "|".into() } else { part.text };
            read(text).unwrap().into_iter().map(shown).collect()
        };
        assert_eq!(texts("a BREAK b"), ["a", "|", "b"]);
        assert_eq!(texts("BREAK,BREAK  BREAK"), ["", "|", ",", "|", "", "|", ""]);
        assert_eq!(texts("BREAKS UNBREAK break"), ["BREAKS UNBREAK break"]);
        assert_eq!(texts("(a)\nBREAK\n(b)"), ["a", "", "|", "", "b"]);
        // As in the web UI, the weight of brackets makes a word of it.
        assert_eq!(texts("(a BREAK b)"), ["a", "BREAK", "b"]);
    }

    #[test]
    fn limits() {
        assert_eq!(read("(a:1.2.3)"), Err(PromptError::NoNumber("1.2.3".into())));
        assert_eq!(read("(so :...)"), Err(PromptError::NoNumber("...".into())));
        assert_eq!(read("(a:1001)"), Err(PromptError::Weight(1001.0)));
        assert!(read(&format!("(a:{})", "9".repeat(400))).is_err());
        read(&"(".repeat(MAX_NESTING)).unwrap();
        assert_eq!(read(&"(".repeat(MAX_NESTING + 1)), Err(PromptError::Nesting));
        read("(a) [b]".repeat(1000).as_str()).unwrap();
    }
}
