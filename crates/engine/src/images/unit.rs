//! Pixels as the values that a VAE takes and gives.

use image::RgbImage;

use crate::{Error, Result};

/// The pixels as values in [-1, 1]: row by row, red, green and blue of each pixel in turn
/// (height × width × 3).
///
/// Equal to `2 * (x / 255) - 1` in single precision, as diffusers' `VaeImageProcessor` does it.
pub fn to_unit(image: &RgbImage) -> Vec<f32> {
    image.as_raw().iter().map(|&level| 2.0 * (f32::from(level) / 255.0) - 1.0).collect()
}

/// The picture of `height` × `width` × 3 values, nominally in [-1, 1], laid out as [`to_unit`] does.
///
/// As diffusers' `VaeImageProcessor`: `x / 2 + 0.5` clamped to [0, 1], times 255, rounded half to
/// even.
///
/// # Errors
///
/// [`Error::Invalid`] when there are not `width` · `height` · 3 values, or when some are not finite
/// (a model that overflowed in half precision, say), which would come out as arbitrary colours.
pub fn from_unit(values: &[f32], width: u32, height: u32) -> Result<RgbImage> {
    if values.len() as u128 != u128::from(width) * u128::from(height) * 3 {
        return Err(Error::Invalid(format!(
            "{} values are no picture of {width}×{height} pixels in 3 channels",
            values.len()
        )));
    }
    let broken = values.iter().filter(|value| !value.is_finite()).count();
    if broken > 0 {
        return Err(Error::Invalid(format!(
            "the model produced non-finite values ({broken} of {}): no picture can be made of them",
            values.len()
        )));
    }
    let levels = values.iter().map(|value| level(*value)).collect();
    RgbImage::from_raw(width, height, levels)
        .ok_or_else(|| Error::Invalid(format!("{width}×{height} pixels are too many")))
}

/// The 8-bit level of a finite value.
fn level(value: f32) -> u8 {
    ((value * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_survives_the_way_there_and_back() {
        let image =
            RgbImage::from_raw(16, 16, (0..768).map(|i| (i % 256) as u8).collect()).unwrap();
        let values = to_unit(&image);
        assert_eq!((values[0], values[255]), (-1.0, 1.0));
        assert_eq!(from_unit(&values, 16, 16).unwrap(), image);
    }

    #[test]
    fn values_are_clamped_and_rounded_half_to_even() {
        assert_eq!(level(-7.5), 0);
        assert_eq!(level(7.5), 255);
        assert_eq!(level(f32::MAX), 255);
        // 0.5 · 255 = 127.5 lies between 127 and 128.
        assert_eq!(level(0.0), 128);
        assert_eq!(level(-1e-3), 127);
    }

    #[test]
    fn values_that_are_no_picture_are_refused() {
        from_unit(&[0.0; 11], 2, 2).unwrap_err();
        from_unit(&[], u32::MAX, u32::MAX).unwrap_err();
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = from_unit(&[0.0, value, 0.0], 1, 1).unwrap_err();
            assert!(error.to_string().contains("non-finite"), "{error}");
        }
    }
}
