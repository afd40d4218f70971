//! Canvases from end to end.

use diffusion_engine::images::{encode_png, resize};
use proptest::prelude::*;

use super::*;

const SIZE: (u32, u32) = (64, 64);

/// A picture in which no two pixels near each other are the same.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        [(x * 5) as u8, (y * 7) as u8, (x * y % 251) as u8].into()
    })
}

/// White in the middle half of each side.
fn mask(width: u32, height: u32) -> RgbImage {
    let middle = |place: u32, side: u32| (side / 4..side - side / 4).contains(&place);
    RgbImage::from_fn(width, height, |x, y| {
        [255 * u8::from(middle(x, width) && middle(y, height)); 3].into()
    })
}

/// The colour of all drawings here.
const DRAWN: [u8; 3] = [1, 2, 3];

fn drawing() -> RgbImage {
    RgbImage::from_pixel(SIZE.0, SIZE.1, DRAWN.into())
}

#[test]
fn without_a_mask_the_drawing_is_the_image() {
    let canvas = Canvas::new(picture(80, 40), None, Resize::Stretch, SIZE).unwrap();
    let initial = canvas.initial().unwrap();
    assert_eq!(initial.image, resize(&picture(80, 40), 64, 64).unwrap());
    assert_eq!(initial.mask, None);
    assert_eq!(canvas.finish(drawing()).unwrap(), drawing());
}

#[test]
fn what_the_mask_keeps_is_the_pictures() {
    let before = picture(64, 64);
    for fill in [Fill::Original, Fill::LatentNoise, Fill::LatentNothing, Fill::Surround] {
        let inpaint = Inpaint { fill, ..Inpaint::default() };
        let canvas =
            Canvas::new(before.clone(), Some((&mask(64, 64), inpaint)), Resize::Crop, SIZE);
        let canvas = canvas.unwrap();
        let initial = canvas.initial().unwrap();
        let inside = |x, y| (16..48).contains(&x) && (16..48).contains(&y);
        let drawn_on = initial.mask.unwrap();
        assert!(drawn_on.enumerate_pixels().all(|(x, y, l)| l.0[0] == 255 * inside(x, y) as u8));
        assert_eq!(initial.image == before, fill != Fill::Surround);
        let image = canvas.finish(drawing()).unwrap();
        for (x, y, pixel) in image.enumerate_pixels() {
            assert_eq!(pixel.0, if inside(x, y) { DRAWN } else { before.get_pixel(x, y).0 });
        }
    }
}

#[test]
fn a_softened_edge_fades_beyond_what_is_drawn() {
    let before = picture(64, 64);
    let inpaint = Inpaint { blur: 2.0, ..Inpaint::default() };
    let canvas = Canvas::new(before.clone(), Some((&mask(64, 64), inpaint)), Resize::Stretch, SIZE);
    let canvas = canvas.unwrap();
    let repainted = canvas.initial().unwrap().mask.unwrap();
    let image = canvas.finish(drawing()).unwrap();
    let mut faded = 0;
    for (x, y, pixel) in image.enumerate_pixels() {
        let (level, kept) = (repainted.get_pixel(x, y).0[0], before.get_pixel(x, y).0);
        match level {
            0 => assert_eq!(pixel.0, kept),
            128.. => assert_eq!(pixel.0, DRAWN),
            _ => faded += usize::from(pixel.0 != kept && pixel.0 != DRAWN),
        }
    }
    assert!(faded > 100, "{faded} pixels between");
}

#[test]
fn the_masked_part_alone_is_drawn_and_pasted_at_the_pictures_size() {
    let (width, height) = (200, 120);
    let before = picture(width, height);
    let spot = RgbImage::from_fn(width, height, |x, y| {
        [255 * u8::from((150..160).contains(&x) && (50..66).contains(&y)); 3].into()
    });
    let inpaint = Inpaint { only_masked: Some(8), ..Inpaint::default() };
    let canvas =
        Canvas::new(before.clone(), Some((&spot, inpaint)), Resize::Stretch, SIZE).unwrap();
    // 10 × 16 with 8 around are 26 × 32, in the shape of a square 32 × 32.
    let area = Area { left: 139, top: 42, width: 32, height: 32 };
    assert_eq!(canvas.masked.as_ref().unwrap().only, Some(area));
    let initial = canvas.initial().unwrap();
    assert_eq!(initial.image.dimensions(), SIZE);
    // The spot is twice as large there.
    let white = |mask: &GrayImage| mask.pixels().filter(|level| level.0[0] >= 128).count();
    assert_eq!(white(initial.mask.as_ref().unwrap()), 4 * 160);
    let image = canvas.finish(drawing()).unwrap();
    assert_eq!(image.dimensions(), (width, height));
    for (x, y, pixel) in image.enumerate_pixels() {
        let drawn = spot.get_pixel(x, y).0[0] == 255;
        let expected = if drawn { DRAWN } else { before.get_pixel(x, y).0 };
        assert_eq!(pixel.0, expected, "{x}, {y}");
    }
}

#[test]
fn a_mask_that_keeps_all_is_told() {
    let black = RgbImage::new(64, 64);
    let inpaint = Inpaint { only_masked: Some(8), blur: 4.0, ..Inpaint::default() };
    let error = Canvas::new(picture(64, 64), Some((&black, inpaint)), Resize::Stretch, SIZE);
    assert!(error.unwrap_err().to_string().contains("nothing to repaint"));
}

#[test]
fn encoded_pictures_are_decoded() {
    let [picture, mask] =
        [picture(40, 40), mask(20, 20)].map(|picture| encode_png(&picture, &[]).unwrap());
    let inpaint = Inpaint { invert: true, ..Inpaint::default() };
    let canvas = Canvas::decode(&picture, Some((&mask, inpaint)), Resize::Pad, SIZE).unwrap();
    let mask = canvas.initial().unwrap().mask.unwrap();
    assert_eq!((mask.get_pixel(2, 2).0[0], mask.get_pixel(32, 32).0[0]), (255, 0));
    Canvas::decode(&picture, Some((b"no picture", inpaint)), Resize::Pad, SIZE).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the sizes, the image has the size that it should, and what is kept is untouched.
    #[test]
    fn any_picture_under_any_mask(
        of_picture in (1_u32..50, 1_u32..50),
        of_mask in (1_u32..50, 1_u32..50),
        resize in prop::sample::select(vec![Resize::Stretch, Resize::Crop, Resize::Pad]),
        fill in prop::sample::select(vec![Fill::Original, Fill::Surround]),
        blur in prop_oneof![Just(0.0), 0.0..10.0, Just(256.0)],
        invert in any::<bool>(),
        only_masked in prop::option::of(prop_oneof![0_u32..20, Just(u32::MAX)]),
        only in any::<prop::sample::Index>(),
    ) {
        let size = (16, 24);
        let place = only.index((of_mask.0 * of_mask.1) as usize) as u32;
        let dot = RgbImage::from_fn(of_mask.0, of_mask.1, |x, y| {
            [255 * u8::from(y * of_mask.0 + x == place); 3].into()
        });
        let inpaint = Inpaint { invert, blur, fill, only_masked };
        let picture = picture(of_picture.0, of_picture.1);
        let checked = check_mask(&dot, inpaint, resize, of_picture, size);
        let canvas = Canvas::new(picture.clone(), Some((&dot, inpaint)), resize, size);
        prop_assert_eq!(canvas.is_ok(), checked.is_ok());
        let Ok(canvas) = canvas else {
            // What is to be repainted lies where the picture is cropped, or is not there.
            let cropped = resize == Resize::Crop && only_masked.is_none();
            prop_assert!(cropped || invert && of_mask == (1, 1), "{:?}", checked);
            return Ok(());
        };
        let initial = canvas.initial().unwrap();
        prop_assert_eq!(initial.image.dimensions(), size);
        let mask = initial.mask.unwrap();
        prop_assert_eq!(mask.dimensions(), size);
        prop_assert!(mask.iter().any(|level| *level >= 128), "the engine has nothing to repaint");
        let drawn = RgbImage::from_pixel(size.0, size.1, [9; 3].into());
        let image = canvas.finish(drawn).unwrap();
        let expected = if only_masked.is_some() { of_picture } else { size };
        prop_assert_eq!(image.dimensions(), expected);
        if only_masked.is_some() {
            let soft = &canvas.masked.as_ref().unwrap().soft;
            let pairs = image.pixels().zip(picture.pixels()).zip(soft.pixels());
            for ((new, old), _) in pairs.filter(|(_, level)| level.0[0] == 0) {
                prop_assert_eq!(new, old);
            }
        }
    }
}
