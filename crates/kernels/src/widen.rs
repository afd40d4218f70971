//! Stored weights (`f32`, `f16`, `bf16`, little-endian bytes) to `f32`.

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use rayon::prelude::*;

/// How a weight is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
}

impl Stored {
    /// Bytes of one value.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// Values converted at a time by one thread.
const CHUNK: usize = 16 * 1024;

/// Converts little-endian stored values to `f32`. The bytes need no alignment.
pub fn widen(stored: Stored, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(bytes.len(), out.len() * stored.bytes(), "stored length");
    bytes
        .par_chunks(CHUNK * stored.bytes())
        .zip(out.par_chunks_mut(CHUNK))
        .for_each(|(bytes, out)| widen_values(stored, bytes, out));
}

/// Converts on this thread.
pub(crate) fn widen_values(stored: Stored, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(bytes.len(), out.len() * stored.bytes(), "stored length");
    if stored == Stored::F32 {
        for (o, b) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *o = f32::from_le_bytes(*b);
        }
        return;
    }
    // The slice conversions use the processor's own instructions.
    if cfg!(target_endian = "little")
        && let Ok(halves) = bytemuck::try_cast_slice(bytes)
    {
        return widen_halves(stored, halves, out);
    }
    let mut halves = [0_u16; 256];
    for (bytes, out) in bytes.chunks(512).zip(out.chunks_mut(256)) {
        let halves = &mut halves[..out.len()];
        for (half, b) in halves.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *half = u16::from_le_bytes(*b);
        }
        widen_halves(stored, halves, out);
    }
}

fn widen_halves(stored: Stored, halves: &[u16], out: &mut [f32]) {
    match stored {
        Stored::F16 => halves.reinterpret_cast::<f16>().convert_to_f32_slice(out),
        _ => halves.reinterpret_cast::<bf16>().convert_to_f32_slice(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storage_gives_the_value_back() {
        let values = [0.0, 1.5, -2.0, 0.25, 65504.0, -0.007_812_5];
        let mut out = [0.0; 6];
        let f32s: Vec<u8> = values.iter().flat_map(|v: &f32| v.to_le_bytes()).collect();
        widen(Stored::F32, &f32s, &mut out);
        assert_eq!(out, values);
        let f16s: Vec<u8> = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        widen(Stored::F16, &f16s, &mut out);
        assert_eq!(out, values);
        let bf16s: Vec<u8> =
            values[..4].iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        widen(Stored::Bf16, &bf16s, &mut out[..4]);
        assert_eq!(out[..4], values[..4]);
    }
}
