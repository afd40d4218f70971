//! Bicubic resizing in the fixed-point arithmetic that Pillow uses, so that the results are equal.
//!
//! Two passes, along rows and columns, with 8-bit pixels in between. Their order and their
//! rounding matter: a bicubic kernel overshoots at edges, and what the first pass clips is lost to
//! the second.

use std::borrow::Cow;

use image::RgbImage;

use crate::{Error, Result};

/// The largest side that [`resize`] makes, in pixels.
const MAX_SIDE: u32 = 16384;

/// Fractional bits of a weight. Eight bits of pixel, the overshoot and the sign need the others.
const FRACTION_BITS: u32 = 22;

/// Pixels on each side of the centre that the kernel covers when enlarging.
const SUPPORT: f64 = 2.0;

const CHANNELS: usize = 3;

/// Resizes to exactly `width`×`height` pixels, whatever the aspect ratio, as Pillow's
/// `Image.resize((width, height), BICUBIC)` does: a bicubic kernel with a = −0.5, widened when
/// reducing, so that nothing aliases.
///
/// # Errors
///
/// [`Error::Invalid`] when a side is zero or more than 16384 pixels, or `image` has no pixels.
pub fn resize(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage> {
    if ![width, height].iter().all(|side| (1..=MAX_SIDE).contains(side)) {
        return Err(Error::Invalid(format!(
            "a picture cannot be resized to {width}×{height} pixels: a side is 1 to {MAX_SIDE}"
        )));
    }
    if image.width() == 0 || image.height() == 0 {
        return Err(Error::Invalid("a picture without pixels cannot be resized".into()));
    }
    let first = if columns_first(image.dimensions(), (width, height)) {
        resize_columns(image, height)
    } else {
        resize_rows(image, width)
    };
    // The pass that was made finds nothing left to do.
    Ok(resize_columns(&resize_rows(&first, width), height).into_owned())
}

/// Whether the columns are resized before the rows.
///
/// Pillow does so since version 13, when it takes away more than twice as many rows as columns;
/// versions before always began with the rows, and differ in sharp detail of such pictures.
fn columns_first((width, height): (u32, u32), (to_width, to_height): (u32, u32)) -> bool {
    let removed = |from, to| i64::from(from) - i64::from(to);
    to_height < height && removed(height, to_height) > 2 * removed(width, to_width)
}

/// What one pixel of the result takes: consecutive pixels of the source, weighted.
struct Taps {
    /// The first source pixel.
    first: usize,
    /// Fixed-point weights, with [`FRACTION_BITS`] and a sum of about one.
    weights: Vec<i32>,
}

/// The taps of every pixel along one side.
fn taps(from: u32, to: u32) -> Vec<Taps> {
    let scale = f64::from(from) / f64::from(to);
    let widening = scale.max(1.0);
    let reach = SUPPORT * widening;
    (0..to)
        .map(|position| {
            let center = (f64::from(position) + 0.5) * scale;
            // The casts truncate, and saturate at zero.
            let first = (center - reach + 0.5) as usize;
            let end = ((center + reach + 0.5) as usize).min(from as usize);
            let weights: Vec<f64> = (first..end)
                .map(|pixel| bicubic((pixel as f64 - center + 0.5) / widening))
                .collect();
            let sum: f64 = weights.iter().sum();
            let one = f64::from(1 << FRACTION_BITS);
            let weights = weights.iter().map(|weight| (weight / sum * one).round() as i32);
            Taps { first, weights: weights.collect() }
        })
        .collect()
}

/// Keys' cubic convolution kernel with a = −0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < SUPPORT {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Every row to `width` pixels.
fn resize_rows(image: &RgbImage, width: u32) -> Cow<'_, RgbImage> {
    if width == image.width() {
        return Cow::Borrowed(image);
    }
    let taps = taps(image.width(), width);
    let mut resized = RgbImage::new(width, image.height());
    let source = image.as_raw().chunks_exact(image.width() as usize * CHANNELS);
    let target = resized.chunks_exact_mut(width as usize * CHANNELS);
    for (row, resized_row) in source.zip(target) {
        for (taps, pixel) in taps.iter().zip(resized_row.as_chunks_mut::<CHANNELS>().0) {
            let mut sums = [HALF; CHANNELS];
            for (weight, source) in
                taps.weights.iter().zip(&row.as_chunks::<CHANNELS>().0[taps.first..])
            {
                for (sum, level) in sums.iter_mut().zip(source) {
                    *sum += weight * i32::from(*level);
                }
            }
            *pixel = sums.map(to_level);
        }
    }
    Cow::Owned(resized)
}

/// Every column to `height` pixels, a row of the result at a time.
fn resize_columns(image: &RgbImage, height: u32) -> Cow<'_, RgbImage> {
    if height == image.height() {
        return Cow::Borrowed(image);
    }
    let row_length = image.width() as usize * CHANNELS;
    let mut resized = RgbImage::new(image.width(), height);
    let mut sums = vec![HALF; row_length];
    let target = resized.chunks_exact_mut(row_length);
    for (taps, resized_row) in taps(image.height(), height).iter().zip(target) {
        sums.fill(HALF);
        let rows = image.as_raw().chunks_exact(row_length).skip(taps.first);
        for (weight, row) in taps.weights.iter().zip(rows) {
            for (sum, level) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(*level);
            }
        }
        for (level, sum) in resized_row.iter_mut().zip(&sums) {
            *level = to_level(*sum);
        }
    }
    Cow::Owned(resized)
}

/// One half, so that dropping the fraction rounds.
const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// The 8-bit level of a weighted sum that began at [`HALF`].
fn to_level(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_never_overflow() {
        for (from, to) in [(1, 7), (7, 1), (100, 99), (16384, 3), (3, 16384)] {
            for taps in taps(from, to) {
                let sum: i64 = taps.weights.iter().map(|&weight| i64::from(weight)).sum();
                assert!((sum - (1 << FRACTION_BITS)).abs() <= taps.weights.len() as i64);
                let worst: i64 = taps.weights.iter().map(|&w| i64::from(w.abs()) * 255).sum();
                assert!(worst + i64::from(HALF) < i64::from(i32::MAX));
                assert!(taps.first + taps.weights.len() <= from as usize);
            }
        }
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let image = RgbImage::from_pixel(13, 5, image::Rgb([3, 128, 255]));
        for (width, height) in [(1, 1), (13, 9), (40, 5), (13, 5), (7, 31)] {
            let resized = resize(&image, width, height).unwrap();
            assert_eq!(resized, RgbImage::from_pixel(width, height, image::Rgb([3, 128, 255])));
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let image = RgbImage::new(4, 4);
        for (width, height) in [(0, 1), (1, 0), (MAX_SIDE + 1, 1), (1, u32::MAX)] {
            resize(&image, width, height).unwrap_err();
        }
        resize(&RgbImage::new(0, 4), 4, 4).unwrap_err();
    }
}
