//! What steps cost, as measured, and how many rows of the UNet a batch should have.
//!
//! A *row* is one prediction: a sample with guidance takes two of a batch.

use std::collections::{BTreeMap, HashMap};

use super::Group;

/// Step times by group and rows.
#[derive(Debug, Default)]
pub(super) struct Costs {
    groups: HashMap<Group, Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    /// Whether the first step is over: it packs weights and reads files, and tells nothing.
    warm: bool,
    by_rows: BTreeMap<usize, Estimate>,
    /// Steps since a batch larger than `target` was last tried.
    since_trial: u32,
}

#[derive(Debug)]
struct Estimate {
    nanos: f64,
    count: u32,
}

/// A larger batch must save this part of the time of a row to be worth its latency.
const WORTH: f64 = 0.05;
/// Weight of the newest measurement.
const NEWEST: f64 = 0.2;
/// Up to so many rows, and nanoseconds of a step, larger batches are tried whatever smaller ones
/// gave: what little that costs, and what little they save, is lost in the noise of one trial.
const QUICK_ROWS: usize = 8;
const QUICK_NANOS: f64 = 5e7;
/// Steps after which a larger batch is tried again: the machine may have been busy.
const TRIAL_EVERY: u32 = 256;

impl Costs {
    /// A step of `rows` took `nanos`.
    pub(super) fn observe(&mut self, group: Group, rows: usize, nanos: u64) {
        let steps = self.groups.entry(group).or_default();
        let enough = steps.enough();
        if !steps.warm {
            steps.warm = true;
            return;
        }
        let nanos = nanos.max(1) as f64;
        let estimate = steps.by_rows.entry(rows).or_insert(Estimate { nanos, count: 0 });
        // What disturbs a measurement makes it longer: the first few are taken at their best.
        estimate.nanos = if estimate.count < 3 {
            estimate.nanos.min(nanos)
        } else {
            estimate.nanos + NEWEST * (nanos - estimate.nanos)
        };
        estimate.count = estimate.count.saturating_add(1);
        steps.since_trial = if rows > enough { 0 } else { steps.since_trial.saturating_add(1) };
    }

    /// Rows that a batch of this group should have, where there are as many: the fewest at which
    /// a row costs nearly what it costs at best; twice the most that were measured while more
    /// still save time, and now and then.
    pub(super) fn target(&self, group: Group) -> usize {
        let Some(steps) = self.groups.get(&group) else { return 1 };
        let rows = steps.enough();
        if steps.since_trial >= TRIAL_EVERY { 2 * rows } else { rows }
    }

    /// Nanoseconds that a step of `rows` will take, where something like it was measured.
    pub(super) fn estimate(&self, group: Group, rows: usize) -> Option<u64> {
        let steps = self.groups.get(&group)?;
        let above = steps.by_rows.range(rows..).next();
        let (&known, estimate) = above.or(steps.by_rows.last_key_value())?;
        let scale = if known < rows { rows as f64 / known as f64 } else { 1.0 };
        Some((estimate.nanos * scale) as u64)
    }
}

impl Steps {
    /// [`Costs::target`], but for the trials.
    fn enough(&self) -> usize {
        let Some((&most, last)) = self.by_rows.last_key_value() else { return 1 };
        let per_row = |(rows, estimate): (&usize, &Estimate)| estimate.nanos / *rows as f64;
        let last = per_row((&most, last));
        let smaller = self.by_rows.range(..most).map(per_row).fold(f64::INFINITY, f64::min);
        let quick = most < QUICK_ROWS && 2.0 * last * most as f64 <= QUICK_NANOS;
        if quick || last < (1.0 - WORTH) * smaller {
            return 2 * most;
        }
        let best = smaller.min(last);
        let mut enough = self.by_rows.iter();
        let enough = enough.find(|step| per_row(*step) * (1.0 - WORTH) <= best);
        enough.map_or(most, |(rows, _)| *rows)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ModelId;
    use super::*;

    const GROUP: Group = Group { model: ModelId(0), width: 64, height: 64 };

    /// Steps at the target, as long as `nanos` says, until it stays.
    fn settle(costs: &mut Costs, most: usize, nanos: impl Fn(usize) -> u64) -> usize {
        for _ in 0..100 {
            let rows = costs.target(GROUP).clamp(2, most);
            costs.observe(GROUP, rows, nanos(rows));
        }
        costs.target(GROUP)
    }

    #[test]
    fn batches_grow_while_rows_become_cheaper() {
        let overhead = |rows: usize| 1000 + 10 * rows as u64;
        assert!(settle(&mut Costs::default(), 64, overhead) >= 64);
        let linear = |rows: usize| 100_000_000 * rows as u64;
        assert_eq!(settle(&mut Costs::default(), 64, linear), 2);
        let cache = |rows: usize| if rows <= 8 { 1000 + 100 * rows } else { 400 * rows } as u64;
        assert_eq!(settle(&mut Costs::default(), 64, cache), 8);
        let late = |rows: usize| if rows <= 4 { 1000 * rows } else { 500 * rows } as u64;
        assert!(settle(&mut Costs::default(), 64, late) >= 8, "what is quick is tried");
    }

    #[test]
    fn one_slow_start_does_not_mislead() {
        let mut costs = Costs::default();
        costs.observe(GROUP, 2, 1_000_000_000);
        assert_eq!(settle(&mut costs, 64, |rows| 100_000_000 * rows as u64), 2);
    }

    #[test]
    fn larger_batches_are_tried_again_now_and_then() {
        let mut costs = Costs::default();
        assert_eq!(settle(&mut costs, 64, |rows| 100_000_000 * rows as u64), 2);
        let tried = (0..2 * TRIAL_EVERY).filter(|_| {
            let rows = costs.target(GROUP);
            costs.observe(GROUP, rows, 100_000_000 * rows as u64);
            rows > 2
        });
        assert!((1..=2).contains(&tried.count()));
    }

    proptest! {
        #[test]
        fn any_measurements_give_a_batch(steps in prop::collection::vec((1usize..40, 0u64..u64::MAX), 0..60)) {
            let mut costs = Costs::default();
            for (rows, nanos) in steps {
                costs.observe(GROUP, rows, nanos);
                prop_assert!((1..=80).contains(&costs.target(GROUP)));
                costs.estimate(GROUP, rows);
            }
        }
    }
}
