//! What was measured, and what it comes to.

use std::fmt;

use serde::Serialize;

use super::machine::Machine;
use super::program::{Figures, Program};
use super::task::Task;

/// One visit to one program.
#[derive(Debug, Serialize)]
pub(super) struct Measurement {
    pub(super) program: Program,
    pub(super) task: Task,
    /// The median of its runs that count.
    pub(super) seconds: f64,
    /// How many times as long as the engine just before it.
    pub(super) ratio: Option<f64>,
    /// How many times the engine's processor seconds it took.
    pub(super) work: Option<f64>,
    /// From the engine's result, relative to the peer's largest value.
    pub(super) difference: Option<f64>,
    pub(super) figures: Figures,
}

/// A whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) threads: usize,
    pub(super) rows: Vec<Row>,
    measurements: Vec<Measurement>,
}

/// What the visits of one program with one task come to: medians, but for the memory and the
/// difference, which are the largest.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) task: Task,
    pub(super) program: Program,
    pub(super) version: String,
    pub(super) visits: usize,
    pub(super) seconds: f64,
    /// Of the pairs: seconds, and processor seconds.
    pub(super) ratio: Option<f64>,
    pub(super) work: Option<f64>,
    /// Processors that worked for it, on average.
    pub(super) busy: Option<f64>,
    /// Until it was ready, and the first run where that was a warm-up.
    pub(super) load: f64,
    pub(super) first: Option<f64>,
    pub(super) peak_bytes: Option<u64>,
    pub(super) difference: Option<f64>,
}

impl Measurement {
    /// Compares with the engine's figures of just before.
    pub(super) fn paired(mut self, engine: &Self) -> Self {
        let quotient = |own: f64, other: f64| (other > 0.0).then_some(own / other);
        self.ratio = quotient(self.seconds, engine.seconds);
        self.work = self.processor().zip(engine.processor()).and_then(|(a, b)| quotient(a, b));
        self
    }

    /// Processor seconds of a run.
    fn processor(&self) -> Option<f64> {
        median(&self.figures.processor)
    }
}

impl Report {
    pub(super) fn new(machine: Machine, threads: usize, measurements: Vec<Measurement>) -> Self {
        let mut keys: Vec<(Task, Program)> = Vec::new();
        for Measurement { task, program, .. } in &measurements {
            if !keys.contains(&(*task, *program)) {
                keys.push((*task, *program));
            }
        }
        let rows = keys.iter().filter_map(|&(task, program)| {
            let own = measurements.iter().filter(|m| (m.task, m.program) == (task, program));
            Row::of(&own.collect::<Vec<_>>())
        });
        Self { machine, threads, rows: rows.collect(), measurements }
    }
}

impl Row {
    fn of(visits: &[&Measurement]) -> Option<Self> {
        let first = visits.first()?;
        let middle = |value: &dyn Fn(&Measurement) -> Option<f64>| {
            median(&visits.iter().filter_map(|visit| value(visit)).collect::<Vec<_>>())
        };
        Some(Self {
            task: first.task,
            program: first.program,
            version: first.figures.version.clone(),
            visits: visits.len(),
            seconds: middle(&|visit| Some(visit.seconds))?,
            ratio: middle(&|visit| visit.ratio),
            work: middle(&|visit| visit.work),
            busy: middle(&|visit| visit.processor().map(|processor| processor / visit.seconds)),
            load: middle(&|visit| Some(visit.figures.load))?,
            first: middle(&|visit| visit.figures.warm_ups.first().copied()),
            peak_bytes: visits.iter().filter_map(|visit| visit.figures.peak_bytes).max(),
            difference: visits.iter().filter_map(|visit| visit.difference).reduce(f64::max),
        })
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (program, task) = (self.program.name(), self.task.name());
        write!(f, "{task}: {program} {:.2} s", self.seconds)
    }
}

/// The middle value, or the mean of the middle two.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A visit of `seconds`, with `busy` processors.
    pub(in super::super) fn visit(program: Program, seconds: f64, busy: f64) -> Measurement {
        let figures = Figures {
            version: "x 1".to_owned(),
            load: 0.5,
            warm_ups: vec![2.0 * seconds],
            seconds: vec![seconds],
            processor: vec![busy * seconds],
            peak_bytes: Some(1 << 30),
        };
        let difference = (program != Program::Engine).then_some(1e-5 * seconds);
        let task = Task::Unet;
        Measurement { program, task, seconds, ratio: None, work: None, difference, figures }
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_of_pairs_and_not_of_medians() {
        use Program::{Candle, Engine};
        let pairs = [(1.0, 4.0), (4.0, 8.0), (2.0, 2.0)].map(|(own, other)| {
            let engine = visit(Engine, own, 1.0);
            let peer = visit(Candle, other, 1.5).paired(&engine);
            [engine, peer]
        });
        let visits = pairs.into_iter().flatten().collect();
        let report = Report::new(Machine::look(), 2, visits);
        let [engine, candle] = &report.rows[..] else { panic!("{:?}", report.rows) };
        assert_eq!((engine.seconds, engine.ratio, engine.difference), (2.0, None, None));
        assert_eq!((candle.seconds, candle.ratio, candle.busy), (4.0, Some(2.0), Some(1.5)));
        assert_eq!((candle.visits, candle.first, candle.work), (3, Some(8.0), Some(3.0)));
        assert!((candle.difference.unwrap() - 8e-5).abs() < 1e-12);
    }
}
