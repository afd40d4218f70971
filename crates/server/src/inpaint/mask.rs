//! From the picture of a mask to how much of each pixel is drawn anew.

use std::ops::Range;

use diffusion_engine::Result;
use diffusion_engine::images::{GrayImage, RgbImage, resize};
use diffusion_jobs::request::Inpaint;

use super::blur::Plane;
use super::placement::Area;

/// Levels of 8 bits in 16: 255 · 257 is 65535.
const WIDER: u16 = 257;

/// Levels from this one on are repainted.
const REPAINTED: u8 = 128;

/// The mask at the size of its picture, softened: 0 keeps a pixel, 255 draws it anew.
///
/// What is to be repainted stays so however small or blurred it becomes: it is at least half
/// masked.
///
/// # Errors
/// The mask has no pixels.
pub(super) fn soft(sharp: &GrayImage, size: (u32, u32), inpaint: Inpaint) -> Result<GrayImage> {
    let mut mask = resized(sharp, size)?;
    if inpaint.blur > 0.0 {
        let values = mask.iter().map(|&level| u16::from(level) * WIDER).collect();
        let blurred = Plane { width: size.0 as usize, values }.blurred(inpaint.blur);
        for (level, value) in mask.iter_mut().zip(blurred.values) {
            let least = if is_repainted(*level) { REPAINTED } else { 0 };
            *level = (((u32::from(value) + 128) / u32::from(WIDER)) as u8).max(least);
        }
    }
    Ok(mask)
}

/// A mask at another size, in which no part that is repainted is lost.
///
/// # Errors
/// A size is none that a picture can have.
pub(super) fn resized(mask: &GrayImage, size: (u32, u32)) -> Result<GrayImage> {
    let (width, height) = mask.dimensions();
    if (width, height) == size {
        return Ok(mask.clone());
    }
    let grey = RgbImage::from_fn(width, height, |x, y| [mask.get_pixel(x, y).0[0]; 3].into());
    let grey = resize(&grey, size.0, size.1)?;
    let mut new = GrayImage::from_fn(size.0, size.1, |x, y| [grey.get_pixel(x, y).0[0]].into());
    let repainted = mask.enumerate_pixels().filter(|(.., level)| is_repainted(level.0[0]));
    for (x, y, _) in repainted {
        for y in places(y, height, size.1) {
            for x in places(x, width, size.0) {
                let level = &mut new.get_pixel_mut(x, y).0[0];
                *level = (*level).max(REPAINTED);
            }
        }
    }
    Ok(new)
}

/// The pixels of a side that one of another length comes to, at least one: those whose middle lies
/// in it, or where a side shrinks, the one that its own middle lies in.
fn places(place: u32, from: u32, to: u32) -> Range<u32> {
    let [place, from, to] = [place, from, to].map(u64::from);
    let range = if to < from {
        let middle = (2 * place + 1) * to / (2 * from);
        middle..middle + 1
    } else {
        let first = |place: u64| (2 * to * place).saturating_sub(from).div_ceil(2 * from);
        first(place)..first(place + 1)
    };
    // Neither is beyond `to`.
    range.start as u32..range.end as u32
}

/// Checks that a mask leaves something to repaint in what is drawn of a picture of this size.
///
/// # Errors
/// Why there is nothing.
pub(super) fn check(
    sharp: &GrayImage,
    invert: bool,
    picture: (u32, u32),
    drawn: Area,
) -> Result<(), String> {
    let (width, height) = sharp.dimensions();
    let seen = |places: Range<u32>, first: u32, length: u32| {
        places.start < first + length && places.end > first
    };
    let mut repainted =
        sharp.enumerate_pixels().filter(|(.., level)| is_repainted(level.0[0])).peekable();
    if repainted.peek().is_none() {
        let most = sharp.iter().copied().max().unwrap_or(0);
        let (needed, found) = if invert {
            (format!("{} or darker", 255 - REPAINTED), format!("{} at the least", 255 - most))
        } else {
            (format!("{REPAINTED} or brighter"), format!("{most} at the most"))
        };
        return Err(format!(
            "there is nothing to repaint: no level of the mask is {needed}, of 255, but {found} \
             (the levels of a mask with transparent parts are 255 where it is opaque, else 0)"
        ));
    }
    let mut repainted = repainted.map(|(x, y, _)| (x, y));
    let is_seen = repainted.any(|(x, y)| {
        seen(places(x, width, picture.0), drawn.left, drawn.width)
            && seen(places(y, height, picture.1), drawn.top, drawn.height)
    });
    if is_seen {
        return Ok(());
    }
    let Area { left, top, width, height } = drawn;
    Err(format!(
        "there is nothing to repaint: of the picture only {width}×{height} pixels from {left}, \
         {top} on are drawn, and the mask keeps them all"
    ))
}

fn is_repainted(level: u8) -> bool {
    level >= REPAINTED
}

/// How bright each pixel is, or how dark.
pub(super) fn sharp(mask: &RgbImage, invert: bool) -> GrayImage {
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
    use proptest::prelude::*;

    use super::*;

    fn halves(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, _| [if x < width / 2 { 0 } else { 255 }; 3].into())
    }

    #[test]
    fn greys_are_weighed_as_they_look() {
        assert_eq!([[255; 3], [0; 3], [7; 3]].map(luma), [255, 0, 7]);
        assert_eq!([[255, 0, 0], [0, 255, 0], [0, 0, 255]].map(luma), [76, 150, 29]);
    }

    fn half_masked(size: (u32, u32), inpaint: Inpaint) -> GrayImage {
        soft(&sharp(&halves(8, 4), inpaint.invert), size, inpaint).unwrap()
    }

    #[test]
    fn a_mask_comes_to_the_size_of_its_picture() {
        let inpaint = Inpaint::default();
        let mask = half_masked((32, 20), inpaint);
        assert_eq!(mask.dimensions(), (32, 20));
        assert_eq!((mask.get_pixel(4, 9).0[0], mask.get_pixel(28, 9).0[0]), (0, 255));
        let inverted = half_masked((32, 20), Inpaint { invert: true, ..inpaint });
        assert!(mask.pixels().zip(inverted.pixels()).all(|(a, b)| a.0[0] == 255 - b.0[0]));
    }

    #[test]
    fn blurring_softens_the_edge_alone() {
        let inpaint = Inpaint { blur: 3.0, ..Inpaint::default() };
        let mask = soft(&sharp(&halves(64, 8), false), (64, 8), inpaint).unwrap();
        let row: Vec<u8> = (0..64).map(|x| mask.get_pixel(x, 3).0[0]).collect();
        assert!(row.is_sorted() && row[31] < 128 && row[32] >= 128, "{row:?}");
        assert!(row[..20].iter().all(|&level| level == 0));
        assert!(row[44..].iter().all(|&level| level == 255));
        assert!(row[28] > 0 && row[35] < 255);
    }

    #[test]
    fn a_thin_line_stays_however_small_or_blurred() {
        let line = GrayImage::from_fn(400, 300, |x, _| [255 * u8::from(x == 203)].into());
        for (size, blur) in [((40, 30), 0.0), ((400, 300), 20.0), ((57, 301), 8.0)] {
            let mask = soft(&line, size, Inpaint { blur, ..Inpaint::default() }).unwrap();
            let column = 203 * size.0 / 400;
            for (x, _, level) in mask.enumerate_pixels() {
                assert_eq!(is_repainted(level.0[0]), x == column, "{x} of {size:?}");
            }
        }
    }

    #[test]
    fn why_there_is_nothing_to_repaint_is_told() {
        let why = |level: u8, invert| {
            let mask = sharp(&RgbImage::from_pixel(8, 8, [level; 3].into()), invert);
            check(&mask, invert, (16, 16), Area::whole((16, 16))).err()
        };
        assert_eq!((why(128, false), why(127, true)), (None, None));
        let grey = why(100, false).unwrap();
        assert!(grey.contains("128 or brighter, of 255, but 100 at the most"), "{grey}");
        let white = why(255, true).unwrap();
        assert!(white.contains("127 or darker, of 255, but 255 at the least"), "{white}");

        let left = sharp(&halves(8, 8), true);
        let part = |left| Area { left, top: 0, width: 4, height: 16 };
        check(&left, true, (16, 16), part(7)).unwrap();
        let beyond = check(&left, true, (16, 16), part(8)).unwrap_err();
        assert!(beyond.contains("4×16 pixels from 8, 0 on"), "{beyond}");
    }

    proptest! {
        #[test]
        fn every_pixel_comes_somewhere(from in 1_u32..60, to in 1_u32..60) {
            let all: Vec<Range<u32>> = (0..from).map(|place| places(place, from, to)).collect();
            for range in &all {
                prop_assert!(range.start < range.end && range.end <= to);
            }
            if to >= from {
                let covered: Vec<u32> = all.into_iter().flatten().collect();
                prop_assert_eq!(covered, (0..to).collect::<Vec<_>>());
            }
        }
    }
}
