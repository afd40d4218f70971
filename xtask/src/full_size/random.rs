//! Weights that keep the scale of what passes through them: the same in every run.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use diffusion_engine::Required;
use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::{Dtype, View};

/// A tensor whose `f16` values are made when they are asked for: weights uniform with variance
/// 1 / fan-in, the weights of norms 1, biases 0.
pub(super) struct Random<'a>(pub(super) &'a Required);

impl View for Random<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F16
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut values = vec![f16::ZERO; self.0.shape.iter().product()];
        if !self.0.name.ends_with(".bias") {
            match self.0.shape[..] {
                [_] => values.fill(f16::ONE),
                _ => self.fill(&mut values),
            }
        }
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        self.0.shape.iter().product::<usize>() * size_of::<f16>()
    }
}

impl Random<'_> {
    fn fill(&self, values: &mut [f16]) {
        let fan_in: usize = self.0.shape[1..].iter().product();
        let bound = (3.0 / fan_in as f32).sqrt();
        let mut state = self.seed();
        let mut block = [0.0; 1024];
        for values in values.chunks_mut(block.len()) {
            for four in block.as_chunks_mut::<4>().0 {
                let bits = next(&mut state).to_le_bytes();
                for (value, bits) in four.iter_mut().zip(bits.as_chunks().0) {
                    let unit = f32::from(u16::from_le_bytes(*bits)) / 32767.5 - 1.0;
                    *value = unit * bound;
                }
            }
            values.convert_from_f32_slice(&block[..values.len()]);
        }
    }

    /// The tensor's own, so that no two have the same values.
    fn seed(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.0.component, &self.0.name).hash(&mut hasher);
        hasher.finish()
    }
}

/// The splitmix64 generator: enough for weights that nobody trains.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
