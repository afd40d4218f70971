//! Packing `f16` weights that are in no cache, as those of large models are when a step uses them.

use criterion::Criterion;
use diffusion_kernels::{ConvWeights, Packed, Stored};

use crate::conv::shape;
use crate::time;
use crate::values::f16_bytes;

/// Bytes of weights that are packed in turn: more than caches hold.
const COLD: usize = 128 << 20;

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packing");
    for (features, outputs) in [(320, 2560), (1280, 1280), (5120, 1280)] {
        let mut weights = cold(outputs * features);
        time(&mut group, &format!("{features}->{outputs}"), outputs * features, move || {
            weights.next(|bytes| Packed::linear(Stored::F16, bytes, outputs, features));
        });
    }
    // By Winograd's transform, but the last.
    for (side, channels) in [(64, 320), (32, 640), (16, 1280), (8, 1280)] {
        let shape = shape(side, channels, channels);
        let values = 9 * channels * channels;
        let mut weights = cold(values);
        time(&mut group, &format!("3x3 {side}x{side} {channels}"), values, move || {
            weights.next(|bytes| ConvWeights::pack(Stored::F16, bytes, &shape));
        });
    }
    group.finish();
}

/// Weights that are taken one after the other.
struct Cold {
    bytes: Vec<u8>,
    each: usize,
    at: usize,
}

fn cold(values: usize) -> Cold {
    let each = 2 * values;
    Cold { bytes: f16_bytes(values).repeat(COLD.div_ceil(each)), each, at: 0 }
}

impl Cold {
    fn next<T>(&mut self, pack: impl FnOnce(&[u8]) -> T) {
        std::hint::black_box(pack(&self.bytes[self.at..][..self.each]));
        self.at = (self.at + self.each) % self.bytes.len();
    }
}
