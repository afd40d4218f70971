//! Scheduling and alternation: from a prompt to its text at every step.
//!
//! A bracket that is closed in order and has one of these forms means something, at any depth:
//!
//! | form | text |
//! |---|---|
//! | `[from:to:when]`, `[to:when]`, `[from::when]` | `from` up to step `when`, then `to` |
//! | `[a\|b\|…]` | one after the other, a step each |
//! | `(a)`, `(a:b)`, `[a]` | itself, to be weighted |
//!
//! Any other bracket or colon is text, and so is what holds it; a bar outside alternations, or a
//! backslash with nothing behind it in its line, makes the whole prompt text without a schedule.
//!
//! The web UI's grammar is ambiguous where brackets that mean nothing stand side by side, and may
//! then leave a form that it reads elsewhere as text. Here a form means the same wherever it stands.

use std::ops::Range;

use super::scan::is_space;
use super::{MAX_FORMS, MAX_NESTING, MAX_TEXTS, PromptError};

/// The texts of a prompt, and which of them conditions when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The different texts.
    pub texts: Vec<String>,
    /// For each section of the run, the last step that it holds for, and the index of its text.
    /// Steps ascend; the last is that of the run.
    pub sections: Vec<(usize, usize)>,
}

/// Reads the schedule of a prompt for a run of `steps`, counted from 1.
///
/// `when` is a number of steps, or with a point in it a part of all of them; what is below 1 lies
/// before the run. Alternation makes a section of every step, even where the text stays.
///
/// # Errors
/// Brackets nest too deep, or there are too many forms or texts.
pub fn read(prompt: &str, steps: usize) -> Result<Schedule, PromptError> {
    let items = match parse(prompt, steps)? {
        Some(items) => items,
        None => vec![Item::Text(0..prompt.len())],
    };
    let mut ends = Ends { last: vec![steps], every: false, forms: 0 };
    ends.collect(&items);
    if ends.forms > MAX_FORMS {
        return Err(PromptError::Forms);
    }
    if ends.every {
        ends.last = (1..=steps.max(1)).collect();
    }
    ends.last.sort_unstable();
    ends.last.dedup();

    let mut texts: Vec<String> = Vec::new();
    let mut sections = Vec::with_capacity(ends.last.len());
    for end in ends.last {
        let mut text = String::with_capacity(prompt.len());
        render(&items, prompt, end, &mut text);
        let index = match texts.iter().position(|known| *known == text) {
            Some(index) => index,
            None if texts.len() == MAX_TEXTS => return Err(PromptError::Texts),
            None => {
                texts.push(text);
                texts.len() - 1
            }
        };
        sections.push((end, index));
    }
    Ok(Schedule { texts, sections })
}

/// A piece of a prompt.
#[derive(Debug)]
enum Item {
    /// These bytes of it.
    Text(Range<usize>),
    /// One after the other.
    Scheduled { from: Vec<Item>, to: Vec<Item>, when: usize },
    /// In turn.
    Alternate(Vec<Vec<Item>>),
}

/// The last steps of sections.
struct Ends {
    last: Vec<usize>,
    /// Every step ends one.
    every: bool,
    /// Items that change.
    forms: usize,
}

impl Ends {
    fn collect(&mut self, items: &[Item]) {
        for item in items {
            self.forms += usize::from(!matches!(item, Item::Text(_)));
            match item {
                Item::Text(_) => {}
                Item::Scheduled { from, to, when } => {
                    if *when >= 1 {
                        self.last.push(*when);
                    }
                    self.collect(from);
                    self.collect(to);
                }
                Item::Alternate(options) => {
                    self.every = true;
                    options.iter().for_each(|option| self.collect(option));
                }
            }
        }
    }
}

/// Writes the text of a step.
fn render(items: &[Item], prompt: &str, step: usize, text: &mut String) {
    for item in items {
        match item {
            Item::Text(range) => text.push_str(&prompt[range.clone()]),
            Item::Scheduled { from, to, when } => {
                render(if step <= *when { from } else { to }, prompt, step, text);
            }
            Item::Alternate(options) => {
                let option = step.saturating_sub(1) % options.len().max(1);
                options.get(option).into_iter().for_each(|o| render(o, prompt, step, text));
            }
        }
    }
}

/// An open bracket.
struct Frame {
    open: usize,
    is_round: bool,
    /// What lies between the separators.
    segments: Vec<Vec<Item>>,
    separators: Vec<usize>,
}

/// The pieces of a prompt; none where it has no schedule because of a stray bar or backslash.
fn parse(prompt: &str, steps: usize) -> Result<Option<Vec<Item>>, PromptError> {
    let bytes = prompt.as_bytes();
    let mut parser = Parser { bytes, root: Vec::new(), frames: Vec::new() };
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let mut end = at + 1;
        match byte {
            b'(' | b'[' => parser.open(at)?,
            b')' | b']' => {
                if !parser.close(at, prompt, steps) {
                    return Ok(None);
                }
            }
            b':' | b'|' => match parser.frames.last_mut() {
                Some(frame) => {
                    frame.separators.push(at);
                    frame.segments.push(Vec::new());
                }
                None if byte == b'|' => return Ok(None),
                None => parser.text(at..end),
            },
            _ => {
                if byte == b'\\' {
                    match prompt[end..].chars().next() {
                        None | Some('\n') => return Ok(None),
                        Some(escaped) => end += escaped.len_utf8(),
                    }
                }
                while bytes.get(end).is_some_and(|byte| !b"\\()[]:|".contains(byte)) {
                    end += 1;
                }
                parser.text(at..end);
            }
        }
        at = end;
    }
    Ok(parser.dissolve().then_some(parser.root))
}

struct Parser<'a> {
    bytes: &'a [u8],
    root: Vec<Item>,
    frames: Vec<Frame>,
}

impl Parser<'_> {
    /// Where the next item belongs.
    fn target(&mut self) -> &mut Vec<Item> {
        let segment = self.frames.last_mut().and_then(|frame| frame.segments.last_mut());
        segment.unwrap_or(&mut self.root)
    }

    fn text(&mut self, range: Range<usize>) {
        let target = self.target();
        match target.last_mut() {
            Some(Item::Text(last)) if last.end == range.start => last.end = range.end,
            _ => target.push(Item::Text(range)),
        }
    }

    fn items(&mut self, items: Vec<Item>) {
        for item in items {
            match item {
                Item::Text(range) => self.text(range),
                item => self.target().push(item),
            }
        }
    }

    fn open(&mut self, at: usize) -> Result<(), PromptError> {
        if self.frames.len() == MAX_NESTING {
            return Err(PromptError::Nesting);
        }
        let is_round = self.bytes[at] == b'(';
        self.frames.push(Frame {
            open: at,
            is_round,
            segments: vec![Vec::new()],
            separators: Vec::new(),
        });
        Ok(())
    }

    /// Closes the last bracket at `at`. Where it has no form, it and all around it are text; false
    /// if that cannot be.
    fn close(&mut self, at: usize, prompt: &str, steps: usize) -> bool {
        let is_round = self.bytes[at] == b')';
        if let Some(frame) = self.frames.pop_if(|frame| frame.is_round == is_round) {
            let count = frame.separators.len();
            let only = |separator| frame.separators.iter().all(|s| self.bytes[*s] == separator);
            let (colons, bars) = (only(b':'), only(b'|'));
            if count == 0 || is_round && colons && count == 1 {
                self.spell(frame);
                self.text(at..at + 1);
                return true;
            }
            if !is_round && bars {
                self.target().push(Item::Alternate(frame.segments));
                return true;
            }
            let number = match frame.segments.last().map(Vec::as_slice) {
                Some([Item::Text(range)]) => Some(&prompt[range.clone()]),
                _ => None,
            };
            let when = number.and_then(|number| when(number, steps));
            if !is_round
                && colons
                && let (1 | 2, Some(when)) = (count, when)
            {
                let mut segments = frame.segments;
                segments.truncate(count);
                let to = segments.pop().unwrap_or_default();
                let from = segments.pop().unwrap_or_default();
                self.target().push(Item::Scheduled { from, to, when });
                return true;
            }
            self.frames.push(frame);
        }
        let is_text = self.dissolve();
        self.text(at..at + 1);
        is_text
    }

    /// Writes a bracket and what it holds as they stand.
    fn spell(&mut self, frame: Frame) {
        self.text(frame.open..frame.open + 1);
        let mut separators = frame.separators.into_iter();
        for segment in frame.segments {
            self.items(segment);
            if let Some(separator) = separators.next() {
                self.text(separator..separator + 1);
            }
        }
    }

    /// Makes text of all open brackets; false if there is a bar among them.
    fn dissolve(&mut self) -> bool {
        let mut is_text = true;
        for frame in std::mem::take(&mut self.frames) {
            is_text &= frame.separators.iter().all(|separator| self.bytes[*separator] == b':');
            self.spell(frame);
        }
        is_text
    }
}

/// The last step before a change, from a number of steps or, with a point, a part of them.
fn when(text: &str, steps: usize) -> Option<usize> {
    let number = text.trim_matches(is_space);
    if !number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
        return None;
    }
    let value: f64 = number.parse().ok()?;
    let value = if number.contains('.') { value * steps as f64 } else { value };
    // Negative numbers become 0, and large ones the largest.
    Some((value as usize).min(steps))
}

#[cfg(test)]
mod tests;
