//! Lines for the terminal.

use std::io::Write;

/// A text for the terminal as one line: control characters, which file names may contain, escaped.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Prints a line to standard output, formatted. A reader that has seen enough is no failure.
///
/// # Errors
/// Standard output cannot be written.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::output::print(&format!("{}\n", format_args!($($line)*)))
    };
}

pub(crate) use say;

/// Prints what may be long. A reader that has seen enough, such as `head`, is no failure.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(one_line("ü \"a\"\n\u{1b}[2J\u{9b}"), "ü \"a\"\\n\\u{1b}[2J\\u{9b}");
    }
}
