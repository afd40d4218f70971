//! Whatever a safe caller passes, a kernel refuses what does not fit before it computes: short
//! slices, sizes whose product wraps around, weights of another shape.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::conv::{ConvShape, ConvWeights, conv2d, conv2d_stored};
use crate::epilogue::Target;
use crate::gemm::{MAX_DEPTH, Panels, ROW_STRIDE, multiply, packed_len};
use crate::scratch::Buffer;
use crate::simd::{Level, Simd, Task};
use crate::{
    Activation, AttentionShape, Epilogue, Gated, Packed, Stored, Then, activate, attention,
    group_norm, interleave, layer_norm, linear, linear_gated, widen,
};

/// A shape that needs no memory: its sizes wrap around to nothing.
const HALF: usize = 1 << (usize::BITS - 1);
const QUARTER: usize = HALF / 2;

const BEYOND: &str = "beyond all memory";

/// Asserts that `call` panics with a message that contains `why`.
#[track_caller]
fn refuses(why: &str, call: impl FnOnce()) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(call)) else {
        panic!("nothing was refused; expected: {why}")
    };
    let message = panic.downcast_ref::<String>().cloned();
    let message = message.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
    let message = message.unwrap_or_default();
    assert!(message.contains(why), "refused for another reason: {message}; expected: {why}");
}

fn zeros(values: usize) -> Vec<f32> {
    vec![0.0; values]
}

fn packed(outputs: usize, inputs: usize) -> Packed {
    Packed::linear(Stored::F16, &vec![0; 2 * outputs * inputs], outputs, inputs)
}

#[test]
fn weights_fill_their_shape() {
    let pack =
        |bytes: &[u8], outputs, inputs| drop(Packed::linear(Stored::F32, bytes, outputs, inputs));
    refuses("weight length", || pack(&[0; 23], 2, 3));
    refuses("weight length", || drop(Packed::linear(Stored::Bf16, &[0; 24], 2, 3)));
    refuses("no size", || pack(&[], 0, 3));
    refuses("no size", || pack(&[], 3, 0));
    refuses("no size", || drop(Packed::convolution(Stored::F32, &[], 3, 3, 0)));
    refuses(BEYOND, || pack(&[], QUARTER, 4));
    refuses(BEYOND, || pack(&[], 4, QUARTER));
    refuses(BEYOND, || drop(Packed::convolution(Stored::F32, &[], 1, HALF, 2)));
    let gated = |bytes: &[u8], bias: &[f32], outputs| {
        drop(Gated::new(Stored::F32, bytes, bias, outputs, 1));
    };
    refuses("bias length", || gated(&[0; 16], &[0.0; 2], 2));
    refuses("weight length", || gated(&[0; 8], &[0.0; 4], 2));
    refuses(BEYOND, || gated(&[], &[], HALF));
}

#[test]
fn linear_layers_refuse_what_does_not_fit() {
    let weight = packed(3, 4);
    let call = |x: usize, out: usize, batch, bias: Option<usize>, other: Option<usize>| {
        let (bias, other) = (bias.map(zeros), other.map(zeros));
        let then = other.as_deref().map_or(Then::Store, Then::AddTo);
        linear(
            &mut zeros(out),
            &zeros(x),
            &weight,
            batch,
            &Epilogue { bias: bias.as_deref(), then },
        );
    };
    call(8, 6, 2, Some(6), Some(6));
    call(0, 0, 1, None, None);
    refuses("whole number of rows", || call(7, 6, 1, None, None));
    refuses("output length", || call(8, 5, 1, None, None));
    refuses("output length", || call(8, 7, 1, None, None));
    refuses("batch rows", || call(8, 6, 0, None, None));
    refuses("batch rows", || call(8, 6, 3, None, None));
    refuses("bias length", || call(8, 6, 1, Some(2), None));
    refuses("bias length", || call(8, 6, 1, Some(6), None));
    refuses("summand", || call(8, 6, 1, None, Some(5)));

    let layer = Gated::new(Stored::F16, &[0; 2 * 6 * 4], &[0.0; 6], 3, 4);
    linear_gated(&mut [], &[], &layer);
    refuses("whole number of rows", || linear_gated(&mut zeros(6), &zeros(7), &layer));
    refuses("output length", || linear_gated(&mut zeros(5), &zeros(8), &layer));
}

const SHAPE: ConvShape = ConvShape {
    source: (16, 16),
    input: (16, 16),
    in_channels: 16,
    out_channels: 16,
    kernel: 3,
    stride: 1,
    padding: (1, 1),
};

fn weights(shape: &ConvShape) -> ConvWeights {
    let values = shape.out_channels * shape.in_channels * shape.kernel * shape.kernel;
    ConvWeights::pack(Stored::F16, &vec![0; 2 * values], shape)
}

#[test]
fn convolutions_refuse_what_does_not_fit() {
    let direct = ConvShape { source: (3, 3), input: (3, 3), ..SHAPE };
    assert!(SHAPE.by_winograd() && !direct.by_winograd());
    for shape in [SHAPE, direct] {
        let own = weights(&shape);
        let values = shape.source.0 * shape.source.1 * 16;
        let call = |x: usize, out: usize, shape: &ConvShape| {
            conv2d(&mut zeros(out), &zeros(x), &own, shape, &Epilogue::default());
        };
        // No image at all is no mistake.
        call(0, 0, &shape);
        refuses("whole number of images", || call(values + 1, values, &shape));
        refuses("output length", || call(values, values - 1, &shape));
        refuses("output length", || call(2 * values, values, &shape));
        let pixels = values / 16;
        refuses("", || call(15 * pixels, values, &ConvShape { in_channels: 15, ..shape }));
        refuses("", || call(values, 17 * pixels, &ConvShape { out_channels: 17, ..shape }));
        refuses("no size", || call(0, 0, &ConvShape { in_channels: 0, ..shape }));
        refuses("no size", || call(0, 0, &ConvShape { stride: 0, ..shape }));
        refuses("no size", || call(0, 0, &ConvShape { source: (0, 1), ..shape }));
        refuses("larger than", || call(values, values, &ConvShape { kernel: 19, ..shape }));
        let source = (HALF, 2);
        refuses(BEYOND, || call(0, 0, &ConvShape { source, ..shape }));
        let padding = (usize::MAX, 1);
        refuses(BEYOND, || call(values, values, &ConvShape { padding, ..shape }));
    }
    // Transformed filters serve no shape that is computed directly, and filters of one matrix
    // serve those of another size.
    let values = 9 * 16;
    refuses("another size", || {
        conv2d(&mut zeros(values), &zeros(values), &weights(&SHAPE), &direct, &Epilogue::default());
    });
    let one = weights(&ConvShape { kernel: 1, padding: (0, 0), ..SHAPE });
    refuses("weights", || {
        conv2d(&mut zeros(values), &zeros(values), &one, &direct, &Epilogue::default());
    });

    let stored = |weight: &[u8], x: usize, out: usize, shape: &ConvShape| {
        let (weight, epilogue) = ((Stored::F16, weight), Epilogue::default());
        conv2d_stored(&mut zeros(out), &zeros(x), weight, shape, &epilogue);
    };
    let (values, weight) = (16 * 16 * 16, vec![0; 2 * 9 * 16 * 16]);
    stored(&weight, 0, 0, &SHAPE);
    stored(&weight, values, values, &SHAPE);
    refuses("weight length", || stored(&weight[2..], values, values, &SHAPE));
    refuses("whole number of images", || stored(&weight, values + 1, values, &SHAPE));
    refuses("output length", || stored(&weight, values, values - 1, &SHAPE));
    refuses("without a transform", || stored(&weight, 9 * 16, 9 * 16, &direct));

    let pack = |shape: ConvShape| drop(ConvWeights::pack(Stored::F32, &[], &shape));
    refuses("weight length", || pack(SHAPE));
    refuses("weight length", || pack(direct));
    refuses("larger than", || pack(ConvShape { kernel: 19, ..SHAPE }));
    refuses("no size", || pack(ConvShape { stride: 0, ..SHAPE }));
    refuses(BEYOND, || pack(ConvShape { out_channels: QUARTER, ..SHAPE }));
    refuses(BEYOND, || pack(ConvShape { in_channels: QUARTER, ..direct }));
}

#[test]
fn attention_refuses_what_does_not_fit() {
    let shape = AttentionShape { queries: 3, keys: 2, heads: 2, head_dim: 5, causal: false };
    let call = |out: usize, q: usize, k: usize, v: usize, shape: &AttentionShape| {
        attention(&mut zeros(out), &zeros(q), &zeros(k), &zeros(v), shape);
    };
    call(30, 30, 20, 20, &shape);
    refuses("output length", || call(29, 30, 20, 20, &shape));
    refuses("query length", || call(29, 29, 20, 20, &shape));
    refuses("key length", || call(30, 30, 19, 20, &shape));
    refuses("value length", || call(30, 30, 20, 21, &shape));
    refuses("no queries", || call(0, 0, 20, 20, &AttentionShape { queries: 0, ..shape }));
    refuses("no queries", || call(30, 30, 0, 0, &AttentionShape { keys: 0, ..shape }));
    refuses("no queries", || call(0, 0, 0, 0, &AttentionShape { heads: 0, ..shape }));
    // Three heads of this many channels would be one channel.
    let head_dim = usize::MAX / 3 * 2 + 1;
    assert_eq!(head_dim.wrapping_mul(3), 1);
    let wrapped = AttentionShape { queries: 1, keys: 1, heads: 3, head_dim, causal: false };
    refuses(BEYOND, || call(1, 1, 1, 1, &wrapped));
    refuses(BEYOND, || call(0, 0, 20, 20, &AttentionShape { queries: HALF, ..shape }));
    refuses(BEYOND, || call(30, 30, 0, 0, &AttentionShape { keys: HALF, ..shape }));
}

#[test]
fn pointwise_kernels_refuse_what_does_not_fit() {
    let norm = |out: usize, x: usize, weight: usize, bias: usize, groups| {
        let (weight, bias) = (zeros(weight), zeros(bias));
        group_norm(&mut zeros(out), &zeros(x), &weight, &bias, groups, 1e-5, true);
    };
    norm(12, 12, 6, 6, 3);
    norm(0, 0, 6, 6, 3);
    refuses("output length", || norm(11, 12, 6, 6, 3));
    refuses("bias length", || norm(12, 12, 6, 5, 3));
    refuses("whole number of pixels", || norm(13, 13, 6, 6, 3));
    refuses("divide into groups", || norm(12, 12, 6, 6, 4));
    refuses("no channels or groups", || norm(12, 12, 6, 6, 0));
    refuses("no channels or groups", || norm(0, 0, 0, 0, 1));

    let norm = |out: usize, x: usize, weight: usize, bias: usize| {
        layer_norm(&mut zeros(out), &zeros(x), &zeros(weight), &zeros(bias), 1e-5);
    };
    norm(12, 12, 6, 6);
    norm(0, 0, 6, 6);
    refuses("output length", || norm(11, 12, 6, 6));
    refuses("bias length", || norm(12, 12, 6, 7));
    refuses("whole number of rows", || norm(13, 13, 6, 6));
    refuses("whole number of rows", || norm(0, 0, 0, 0));

    activate(&mut [], Activation::Gelu);
    interleave(&mut [], &[], &[], (1, 2));
    refuses("no values", || interleave(&mut zeros(2), &zeros(2), &[], (1, 0)));
    refuses("input lengths", || interleave(&mut zeros(6), &zeros(2), &zeros(5), (1, 2)));
    refuses("output length", || interleave(&mut zeros(5), &zeros(2), &zeros(4), (1, 2)));

    widen(Stored::F16, &[], &mut []);
    refuses("stored length", || widen(Stored::F16, &[0; 5], &mut zeros(2)));
    refuses("stored length", || widen(Stored::F32, &[0; 4], &mut zeros(2)));
}

/// Calls [`multiply`] for some columns of a matrix of two panels.
struct Multiply<'a> {
    b: Panels<'a, Level>,
    rows: usize,
    columns: std::ops::Range<usize>,
    run: std::ops::Range<usize>,
    chunk: usize,
    sums: usize,
}

impl Task for Multiply<'_> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { b, rows, columns, run, chunk, sums } = self;
        let stride = columns.len().next_multiple_of(S::LANES);
        // SAFETY: the instruction set is the caller's promise.
        unsafe {
            let (mut sums, fresh) = (zeros(sums), run.start == 0);
            multiply::<Level, S>(&zeros(chunk), rows, b, columns, run, (&mut sums, stride), fresh);
        }
    }
}

#[test]
fn the_product_refuses_whatever_would_leave_its_slices() {
    for level in Level::available() {
        let lanes = level.lanes();
        let (depth, columns) = (8, 4 * lanes);
        let values = zeros(packed_len(level, depth, columns));
        let b = Panels::new(level, depth, columns, &values);
        let call = |rows, columns, run, chunk, sums| {
            level.run(Multiply { b, rows, columns, run, chunk, sums });
        };
        call(2, 0..columns, 0..depth, 2 * ROW_STRIDE, 2 * columns);
        call(2, 2 * lanes..columns, 3..depth, 2 * ROW_STRIDE, 4 * lanes);
        // Half a panel: the register tile writes whole ones.
        refuses("columns", || call(1, 0..lanes, 0..depth, ROW_STRIDE, lanes));
        refuses("columns", || call(1, lanes..columns, 0..depth, ROW_STRIDE, columns));
        refuses("columns", || call(1, 0..columns + 1, 0..depth, ROW_STRIDE, 2 * columns));
        refuses("left operand", || call(2, 0..columns, 0..depth, ROW_STRIDE, 2 * columns));
        refuses("left operand", || call(1, 0..columns, 0..MAX_DEPTH + 1, ROW_STRIDE, columns));
        refuses("depth", || call(1, 0..columns, 0..depth + 1, ROW_STRIDE, columns));
        refuses("sums", || call(2, 0..columns, 0..depth, 2 * ROW_STRIDE, 2 * columns - 1));
        for other in Level::available().into_iter().filter(|other| other.lanes() != lanes) {
            let values = zeros(packed_len(other, depth, 64));
            let b = Panels::new(other, depth, 64, &values);
            refuses("other instructions", || {
                let (rows, columns, run) = (1, 0..64, 0..depth);
                level.run(Multiply { b, rows, columns, run, chunk: ROW_STRIDE, sums: 64 });
            });
        }
    }
}

#[test]
fn a_part_that_wraps_around_is_out_of_range() {
    let mut out = zeros(4);
    let columns = usize::MAX - 1;
    let target = Target::new(&mut out, columns, &Epilogue::default());
    // SAFETY: there is one thread.
    #[allow(unsafe_code)]
    refuses("out of range", || unsafe { target.finish(1, 0, 0..2, &[0.0; 2]) });
}

#[test]
fn a_buffer_that_got_no_memory_is_empty() {
    let mut buffer = Buffer::reused(40);
    assert_eq!(buffer.len(), 40);
    refuses("capacity overflow", || buffer.take(usize::MAX).fill(1.0));
    assert_eq!(buffer.iter().sum::<f32>(), 0.0);
    assert!(buffer.is_empty());
}
