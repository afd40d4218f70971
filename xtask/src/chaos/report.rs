//! What a row found.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::Kind;

/// Figures of one fault on one database.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    row: String,
    database: &'static str,
    /// What was measured, by name.
    figures: BTreeMap<&'static str, Value>,
    /// What should not have happened.
    broken: Vec<String>,
    /// Why the row was not run.
    skipped: Option<String>,
}

impl Report {
    pub(super) fn new(row: String, kind: Kind) -> Self {
        let database = kind.name();
        Self { row, database, figures: BTreeMap::new(), broken: Vec::new(), skipped: None }
    }

    pub(super) fn figure(&mut self, name: &'static str, value: impl Into<Value>) {
        self.figures.insert(name, value.into());
    }

    /// Median and extremes of times, in milliseconds.
    pub(super) fn times(
        &mut self,
        names: [&'static str; 3],
        times: impl IntoIterator<Item = Duration>,
    ) {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort();
        for (name, share) in names.into_iter().zip([0.5, 0.99, 1.0]) {
            if let Some(time) = quantile(&times, share) {
                self.figure(name, (time.as_secs_f64() * 1e4).round() / 10.0);
            }
        }
    }

    /// A promise was not kept.
    pub(super) fn broken(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }

    /// Notes a promise that was not kept, unless it was.
    pub(super) fn expect(&mut self, kept: bool, what: impl FnOnce() -> String) {
        if !kept {
            self.broken(what());
        }
    }

    pub(super) fn skip(&mut self, why: impl Into<String>) {
        self.skipped = Some(why.into());
    }

    pub(super) fn holds(&self) -> bool {
        self.broken.is_empty()
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        let verdict = match (&self.skipped, self.holds()) {
            (Some(why), _) => format!("skipped: {why}"),
            (None, true) => "holds".into(),
            (None, false) => "BROKEN".into(),
        };
        println!("== {} on {}: {verdict}", self.row, self.database);
        for (name, value) in &self.figures {
            println!("   {name}: {value}");
        }
        for broken in &self.broken {
            println!("   broken: {broken}");
        }
        Ok(())
    }
}

/// The value below which this share of the sorted values lies (nearest rank).
pub(super) fn quantile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| quantile(&values, share)), [50, 99, 100].map(Some));
        assert_eq!(quantile(&[7], 0.5), Some(7));
        assert_eq!(quantile::<u32>(&[], 0.5), None);
    }
}
