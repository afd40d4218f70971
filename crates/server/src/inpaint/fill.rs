//! The colours around a part of a picture, spread into it.

use diffusion_engine::images::{GrayImage, RgbImage};

use super::blur::Plane;

/// Deviations in pixels by which what is kept is spread, and how often it is laid on, the widest
/// first, as AUTOMATIC1111's web UI has them: near colours count most, far ones reach everywhere.
const LAYERS: [(f64, u32); 6] = [(256.0, 1), (64.0, 1), (16.0, 2), (4.0, 4), (2.0, 2), (0.0, 1)];

/// The picture with its masked part filled by the blurred colours around it; what is masked in part
/// is filled in part.
pub(super) fn surround(picture: &RgbImage, mask: &GrayImage) -> RgbImage {
    let kept: Vec<u16> = mask.pixels().map(|level| u16::from(255 - level.0[0])).collect();
    let width = picture.width() as usize;
    // Colours weigh as much as is kept of them; both go to 255 · 255.
    let weight = Plane { width, values: kept.iter().map(|kept| kept * 255).collect() };
    let colors = [0, 1, 2].map(|channel| {
        let levels = picture.pixels().zip(&kept);
        Plane {
            width,
            values: levels.map(|(pixel, kept)| u16::from(pixel.0[channel]) * kept).collect(),
        }
    });
    let mean = mean(picture, &kept);
    let mut filled: Vec<[f32; 3]> = vec![mean; kept.len()];
    for (deviation, times) in LAYERS {
        let weight = weight.clone().blurred(deviation);
        let [red, green, blue] = colors.each_ref().map(|color| color.clone().blurred(deviation));
        let colors = red.values.iter().zip(&green.values).zip(&blue.values);
        for ((filled, &weight), ((&r, &g), &b)) in filled.iter_mut().zip(&weight.values).zip(colors)
        {
            let seen_through = 1.0 - f32::from(weight) / f32::from(255_u16 * 255);
            for (level, color) in filled.iter_mut().zip([r, g, b]) {
                for _ in 0..times {
                    *level = f32::from(color) / 255.0 + *level * seen_through;
                }
            }
        }
    }
    let mut picture = picture.clone();
    for (level, filled) in picture.iter_mut().zip(filled.iter().flatten()) {
        *level = filled.round() as u8;
    }
    picture
}

/// The mean colour of what is kept, or of all where nothing is.
fn mean(picture: &RgbImage, kept: &[u16]) -> [f32; 3] {
    let all = vec![1; kept.len()];
    let weights = if kept.iter().any(|&kept| kept > 0) { kept } else { &all };
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    [0, 1, 2].map(|channel| {
        let levels = picture.pixels().zip(weights);
        let sum: u64 = levels.map(|(p, &w)| u64::from(p.0[channel]) * u64::from(w)).sum();
        (sum as f64 / total.max(1) as f64) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red to the left, green to the right, and a white square in between.
    fn picture() -> (RgbImage, GrayImage) {
        let inside = |x: u32, y: u32| (20..44).contains(&x) && (20..44).contains(&y);
        let picture = RgbImage::from_fn(64, 64, |x, y| match (inside(x, y), x < 32) {
            (true, _) => [255; 3].into(),
            (_, true) => [200, 10, 0].into(),
            (_, false) => [10, 200, 0].into(),
        });
        (picture, GrayImage::from_fn(64, 64, |x, y| [255 * u8::from(inside(x, y))].into()))
    }

    #[test]
    fn what_is_masked_takes_the_colours_around_it() {
        let (picture, mask) = picture();
        let filled = surround(&picture, &mask);
        for (x, y, pixel) in filled.enumerate_pixels() {
            match mask.get_pixel(x, y).0[0] {
                0 => assert_eq!(pixel, picture.get_pixel(x, y)),
                _ => assert!(pixel.0[2] <= 1, "white is seen at {x}, {y}: {pixel:?}"),
            }
        }
        let (left, right) = (filled.get_pixel(21, 32).0, filled.get_pixel(42, 32).0);
        assert!(left[0] > left[1] + 50 && right[1] > right[0] + 50, "{left:?} {right:?}");
    }

    #[test]
    fn without_anything_around_it_is_the_mean() {
        let (picture, _) = picture();
        let filled = surround(&picture, &GrayImage::from_pixel(64, 64, [255].into()));
        let first = filled.get_pixel(0, 0);
        assert!(filled.pixels().all(|pixel| pixel == first));
        assert!((90..150).contains(&first.0[0]), "{first:?}");
    }

    #[test]
    fn nothing_masked_changes_nothing() {
        let (picture, _) = picture();
        assert_eq!(surround(&picture, &GrayImage::new(64, 64)), picture);
    }
}
