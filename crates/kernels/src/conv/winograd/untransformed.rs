//! Filters that are transformed while they are used, a panel and a run at a time.
//!
//! Those of a large layer, transformed, are four times as large as the weights; to keep them takes
//! gigabytes, and with two images or more it takes no less time to read them from memory than to make
//! them again from the weights, in pieces that stay in the second- or third-level cache.

use std::marker::PhantomData;

use super::{
    Filters, Four, Line, Operands, Patch, Patches, apart, each_input, padded, transform_filters,
};
use crate::gemm::{Arithmetic, ChunkedProduct, MAX_DEPTH, Panels, Weight, packed_columns, runs};
use crate::parallel::{Disjoint, for_each_tile};
use crate::scratch::with_filters;
use crate::simd::Level;
use crate::widen::Stored;

/// The weights of a layer as they are stored.
pub(in crate::conv) struct Untransformed<'a, L> {
    level: Level,
    weight: Weight<'a>,
    outputs: usize,
    line: PhantomData<L>,
}

impl<'a, L: Line> Untransformed<'a, L> {
    /// The weight `[outputs, inputs, 9]` of a file.
    pub(in crate::conv) fn new(
        level: Level,
        stored: Stored,
        bytes: &'a [u8],
        outputs: usize,
        inputs: usize,
    ) -> Self {
        let weight = Weight::new(stored, bytes, (outputs, inputs, 9));
        Self { level, weight, outputs, line: PhantomData }
    }
}

/// Values that a thread needs for the filters of one panel and run, at the most.
pub(crate) fn thread_values(level: Level) -> usize {
    Four::POINTS * apart(MAX_DEPTH * packed_columns(level))
}

impl<L: Line> Filters for Untransformed<'_, L> {
    type Level = Level;
    type Line = L;
    const NOTED: usize = 0;

    fn channels(&self) -> (usize, usize) {
        (self.weight.inputs(), self.outputs)
    }

    fn level(&self) -> Level {
        self.level
    }

    fn panel(&self) -> usize {
        packed_columns(self.level)
    }

    fn multiply(&self, patches: &Patches<'_, Level>, products: &mut [f32]) {
        let Self { level, weight, outputs, .. } = *self;
        let (rows, channels, panel) = (patches.rows, padded(outputs), self.panel());
        let work = L::POINTS * rows * channels * weight.inputs();
        let out = Disjoint::new(products);
        for_each_tile(channels.div_ceil(panel), work, |index| {
            let first = index * panel;
            let width = panel.min(channels - first);
            // SAFETY: panels are disjoint.
            #[allow(unsafe_code)]
            let sums = unsafe {
                let at = index * L::POINTS * apart(rows * panel);
                out.part(at, L::POINTS * apart(rows * width))
            };
            for (nth, run) in runs(weight.inputs()).enumerate() {
                let plane = apart(run.len() * width);
                with_filters(L::POINTS * plane, |filters| {
                    let filters_out = Disjoint::new(filters);
                    let output = |column| Some(first + column).filter(|&c| c < outputs);
                    each_input(weight, width, run.clone(), output, |input, taps| {
                        let at = (input - run.start) * width;
                        transform_filters::<L>(level, taps, width, &filters_out, (at, plane));
                    });
                    let points = sums.chunks_exact_mut(apart(rows * width));
                    for (point, (sums, filters)) in
                        points.zip(filters.chunks_exact(plane)).enumerate()
                    {
                        level.compute(ChunkedProduct {
                            a: patches.point(point).run(nth),
                            rows: 0..rows,
                            b: Panels::new(level, run.len(), width, &filters[..run.len() * width]),
                            columns: 0..width,
                            sums: &mut sums[..rows * width],
                            stride: width,
                            add: nth > 0,
                        });
                    }
                });
            }
        });
    }

    fn enter(&self, patch: &Patch<'_>, operands: &Operands<'_>, row: usize) {
        let place = |channel| operands.place(row, channel);
        patch.transform::<L>(self.level, &operands.numbers, place, operands.plane());
    }

    fn leave(&self, _: &mut [f32], _: usize, _: &[f32]) {}
}
