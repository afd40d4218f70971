//! From the picture of a mask to how much of each pixel is drawn anew.

use diffusion_engine::Result;
use diffusion_engine::images::{GrayImage, RgbImage, resize};
use diffusion_jobs::request::Inpaint;

use super::blur::Plane;

/// Levels of 8 bits in 16: 255 · 257 is 65535.
const WIDER: u16 = 257;

/// The mask at the size of its picture, softened: 0 keeps a pixel, 255 draws it anew.
///
/// # Errors
/// The mask has no pixels.
pub(super) fn soft(mask: &RgbImage, size: (u32, u32), inpaint: Inpaint) -> Result<GrayImage> {
    let mut mask = sharp(&resize(mask, size.0, size.1)?, inpaint.invert);
    if inpaint.blur > 0.0 {
        let values = mask.iter().map(|&level| u16::from(level) * WIDER).collect();
        let blurred = Plane { width: size.0 as usize, values }.blurred(inpaint.blur);
        for (level, value) in mask.iter_mut().zip(blurred.values) {
            *level = ((u32::from(value) + 128) / u32::from(WIDER)) as u8;
        }
    }
    Ok(mask)
}

/// Whether the picture of a mask leaves anything to be drawn anew.
pub(crate) fn repaints(mask: &RgbImage, invert: bool) -> bool {
    sharp(mask, invert).pixels().any(|level| level.0[0] >= 128)
}

/// How bright each pixel is, or how dark.
fn sharp(mask: &RgbImage, invert: bool) -> GrayImage {
    GrayImage::from_fn(mask.width(), mask.height(), |x, y| {
        let level = luma(mask.get_pixel(x, y).0);
        [if invert { 255 - level } else { level }].into()
    })
}

/// ITU-R 601-2's weights of the primaries, in 16 bits.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let weighted = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue);
    ((weighted + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, _| [if x < width / 2 { 0 } else { 255 }; 3].into())
    }

    #[test]
    fn greys_are_weighed_as_they_look() {
        assert_eq!([[255; 3], [0; 3], [7; 3]].map(luma), [255, 0, 7]);
        assert_eq!([[255, 0, 0], [0, 255, 0], [0, 0, 255]].map(luma), [76, 150, 29]);
    }

    #[test]
    fn a_mask_comes_to_the_size_of_its_picture() {
        let inpaint = Inpaint::default();
        let mask = soft(&halves(8, 4), (32, 20), inpaint).unwrap();
        assert_eq!(mask.dimensions(), (32, 20));
        assert_eq!((mask.get_pixel(4, 9).0[0], mask.get_pixel(28, 9).0[0]), (0, 255));
        let inverted = soft(&halves(8, 4), (32, 20), Inpaint { invert: true, ..inpaint }).unwrap();
        assert!(mask.pixels().zip(inverted.pixels()).all(|(a, b)| a.0[0] == 255 - b.0[0]));
    }

    #[test]
    fn blurring_softens_the_edge_alone() {
        let mask = soft(&halves(64, 8), (64, 8), Inpaint { blur: 3.0, ..Inpaint::default() });
        let mask = mask.unwrap();
        let row: Vec<u8> = (0..64).map(|x| mask.get_pixel(x, 3).0[0]).collect();
        assert!(row.is_sorted() && row[31] < 128 && row[32] >= 128, "{row:?}");
        assert!(row[..20].iter().all(|&level| level == 0));
        assert!(row[44..].iter().all(|&level| level == 255));
        assert!(row[28] > 0 && row[35] < 255);
    }

    #[test]
    fn what_leaves_nothing_is_told() {
        assert!(repaints(&halves(8, 8), false) && repaints(&halves(8, 8), true));
        let [black, white] = [0, 255].map(|level| RgbImage::from_pixel(8, 8, [level; 3].into()));
        assert!(!repaints(&black, false) && repaints(&black, true));
        assert!(repaints(&white, false) && !repaints(&white, true));
    }
}
