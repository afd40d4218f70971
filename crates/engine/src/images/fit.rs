//! The size at which a model works on a picture.

use crate::{Error, Result};

/// The most extreme aspect ratio that [`fit`] keeps, as long side : short side.
pub const MAX_ASPECT: f64 = 4.0;

/// The largest area that [`fit`] takes, in pixels.
const MAX_AREA: u64 = 1 << 32;

/// The sides in pixels at which a model of a native area works on a picture of `width`×`height`.
///
/// The result has about `area` pixels (such as 512 × 512) in the picture's aspect ratio, each side
/// rounded to the nearest multiple of `multiple`, and at least one. A picture that is longer than
/// [`MAX_ASPECT`]`:1` gets that ratio (and is squashed by a resize to this size), because models
/// draw nothing sensible on a strip. The picture's own size does not matter, only its shape: small
/// pictures are enlarged and large ones reduced.
///
/// # Errors
///
/// [`Error::Invalid`] when an argument is zero, or `area` is more than 2³² pixels.
///
/// ```
/// use diffusion_engine::images::fit;
///
/// assert_eq!(fit(1000, 1000, 512 * 512, 8)?, (512, 512));
/// assert_eq!(fit(1920, 1080, 512 * 512, 8)?, (680, 384));
/// # Ok::<(), diffusion_engine::Error>(())
/// ```
pub fn fit(width: u32, height: u32, area: u64, multiple: u32) -> Result<(u32, u32)> {
    if width == 0 || height == 0 || area == 0 || multiple == 0 || area > MAX_AREA {
        return Err(Error::Invalid(format!(
            "no size for a picture of {width}×{height} in {area} pixels by multiples of {multiple}"
        )));
    }
    let aspect = (f64::from(width) / f64::from(height)).clamp(1.0 / MAX_ASPECT, MAX_ASPECT);
    let side = (area as f64).sqrt();
    Ok((round_to(side * aspect.sqrt(), multiple), round_to(side / aspect.sqrt(), multiple)))
}

/// `side` rounded to the nearest multiple, at least one.
fn round_to(side: f64, multiple: u32) -> u32 {
    // At most √(2³² · 4) / multiple, which fits.
    let multiples = (side / f64::from(multiple)).round().max(1.0) as u32;
    multiples.saturating_mul(multiple)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: u64 = 512 * 512;

    #[test]
    fn keeps_the_aspect_ratio_about_the_native_area() {
        for (width, height) in [(640, 480), (480, 640), (37, 50), (8000, 3000), (512, 512)] {
            let (w, h) = fit(width, height, NATIVE, 8).unwrap();
            assert_eq!((w % 8, h % 8), (0, 0));
            let aspect = f64::from(w) / f64::from(h);
            assert!((aspect * f64::from(height) / f64::from(width) - 1.0).abs() < 0.03);
            assert!((f64::from(w * h) / NATIVE as f64 - 1.0).abs() < 0.03);
        }
    }

    #[test]
    fn strips_are_clamped() {
        assert_eq!(fit(10_000, 1, NATIVE, 8).unwrap(), (1024, 256));
        assert_eq!(fit(1, u32::MAX, NATIVE, 64).unwrap(), (256, 1024));
    }

    #[test]
    fn a_side_is_at_least_one_multiple() {
        assert_eq!(fit(5, 5, 1, 64).unwrap(), (64, 64));
        assert_eq!(fit(1, 1, 1, u32::MAX).unwrap(), (u32::MAX, u32::MAX));
        assert_eq!(fit(1, 1, MAX_AREA, 1).unwrap(), (65536, 65536));
    }

    #[test]
    fn nothing_is_zero() {
        for (width, height, area, multiple) in
            [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0), (1, 1, u64::MAX, 1)]
        {
            fit(width, height, area, multiple).unwrap_err();
        }
    }
}
