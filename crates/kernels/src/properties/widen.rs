//! Widening of stored weights.

use half::{bf16, f16};
use proptest::prelude::*;

use super::cases;
use crate::{Stored, widen};

/// Equal, or both not a number.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn every_bit_pattern_keeps_its_value_at_any_alignment() {
    let bytes = proptest::collection::vec(any::<u8>(), 0..3000);
    proptest!(cases(40), |(bytes in bytes, odd: bool)| {
        let bytes = &bytes[usize::from(odd && !bytes.is_empty())..];
        let (pairs, fours) = (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0);
        let widened = |stored: Stored, count: usize| {
            let mut out = vec![1.5; count];
            widen(stored, &bytes[..count * stored.bytes()], &mut out);
            out
        };
        for (got, &b) in widened(Stored::F16, pairs.len()).into_iter().zip(pairs) {
            prop_assert!(same(got, f16::from_le_bytes(b).to_f32()), "{:?}", b);
        }
        for (got, &b) in widened(Stored::Bf16, pairs.len()).into_iter().zip(pairs) {
            prop_assert!(same(got, bf16::from_le_bytes(b).to_f32()), "{:?}", b);
        }
        for (got, &b) in widened(Stored::F32, fours.len()).into_iter().zip(fours) {
            prop_assert!(same(got, f32::from_le_bytes(b)), "{:?}", b);
        }
    });
}
