//! The report as a table of Markdown, which `docs/performance.md` can take as it is.

use std::fmt::Write as _;

use super::report::{Report, Row};

const COLUMNS: usize = 9;
const HEAD: [&str; COLUMNS] =
    ["", "s", "ratio", "work ratio", "processors", "load s", "first s", "peak GB", "difference"];

/// A heading with the machine, and one table for all tasks.
pub(super) fn of(report: &Report) -> String {
    let mut lines: Vec<[String; COLUMNS]> = vec![HEAD.map(str::to_owned)];
    let mut task = None;
    for row in &report.rows {
        if task != Some(row.task) {
            task = Some(row.task);
            let mut title = [const { String::new() }; COLUMNS];
            title[0] = row.task.title();
            lines.push(title);
        }
        lines.push(cells(row));
    }
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).max(3)
    });
    let mut out = format!("{}; {} threads\n\n", report.machine, report.threads);
    for (index, line) in lines.iter().enumerate() {
        push(&mut out, line, &widths);
        if index == 0 {
            let rule: [String; COLUMNS] = std::array::from_fn(|column| match column {
                0 => "-".repeat(widths[0]),
                _ => format!("{}:", "-".repeat(widths[column] - 1)),
            });
            push(&mut out, &rule, &widths);
        }
    }
    out
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let optional = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    [
        format!("· {} ({}), {}", row.program.name(), row.version, times(row.visits)),
        format!("{:.2}", row.seconds),
        optional(row.ratio.map(|ratio| format!("{ratio:.2}×"))),
        optional(row.work.map(|work| format!("{work:.2}×"))),
        optional(row.busy.map(|busy| format!("{busy:.1}"))),
        format!("{:.1}", row.load),
        optional(row.first.map(|first| format!("{first:.2}"))),
        optional(row.peak_bytes.map(|bytes| format!("{:.2}", bytes as f64 / 1e9))),
        optional(row.difference.map(|difference| format!("{difference:.1e}"))),
    ]
}

/// How often it was measured.
fn times(visits: usize) -> String {
    if visits == 1 { "once".to_owned() } else { format!("{visits} times") }
}

fn push(out: &mut String, cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) {
    let [first, rest @ ..] = cells;
    let [width, widths @ ..] = widths;
    let _ = write!(out, "| {first:<width$} |");
    for (cell, width) in rest.iter().zip(widths) {
        let _ = write!(out, " {cell:>width$} |");
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::machine::Machine;
    use super::super::program::Program;
    use super::super::report::tests::visit;
    use super::*;

    #[test]
    fn a_line_for_each_program_below_its_task() {
        let engine = visit(Program::Engine, 2.0, 1.5);
        let peer = visit(Program::OpenVino, 3.0, 2.0).paired(&engine);
        let visits = vec![engine, peer];
        let text = of(&Report::new(Machine::look(), 4, visits));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("4 threads"), "{text}");
        assert!(lines[4].starts_with("| UNet, one guided step"), "{text}");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            words(lines[5]).join(" "),
            "| · engine (x 1), once | 2.00 | – | – | 1.5 | 0.5 | 4.00 | 1.07 | – |"
        );
        assert_eq!(
            words(lines[6]).join(" "),
            "| · openvino (x 1), once | 3.00 | 1.50× | 2.00× | 2.0 | 0.5 | 6.00 | 1.07 | 3.0e-5 |"
        );
        let width = lines[2].chars().count();
        assert!(lines[2..].iter().all(|line| line.chars().count() == width), "{text}");
    }
}
