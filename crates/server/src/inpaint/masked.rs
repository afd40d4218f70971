//! The part of a picture that is drawn where only what is masked is.

use diffusion_engine::images::GrayImage;

use super::placement::Area;

/// The box of what a mask lets through, with so many pixels around it, in the shape of what is
/// drawn as far as the picture goes; none where the mask lets nothing through.
pub(super) fn around(mask: &GrayImage, padding: u32, shape: (u32, u32)) -> Option<Area> {
    let (width, height) = mask.dimensions();
    let seen = mask.enumerate_pixels().filter(|(.., level)| level.0[0] > 0);
    let (left, top, right, bottom) = seen.fold(None, |found, (x, y, _)| {
        let (left, top, right, bottom) = found.unwrap_or((x, y, x, y));
        Some((left.min(x), top.min(y), right.max(x), bottom.max(y)))
    })?;
    let padded = |first: u32, last: u32, side: u32| {
        let end = last.saturating_add(padding).min(side - 1) + 1;
        let first = first.saturating_sub(padding);
        (first, end - first)
    };
    let (left, wide) = padded(left, right, width);
    let (top, high) = padded(top, bottom, height);

    // One of the sides grows to the shape.
    let aspect = f64::from(shape.0) / f64::from(shape.1);
    let (left, wide) = grown(left, wide, (f64::from(high) * aspect).round() as u32, width);
    let (top, high) = grown(top, high, (f64::from(wide) / aspect).round() as u32, height);
    Some(Area { left, top, width: wide, height: high })
}

/// A range grown to a length on both sides, within `0..limit`.
fn grown(start: u32, length: u32, wanted: u32, limit: u32) -> (u32, u32) {
    let wanted = wanted.clamp(length, limit);
    (start.saturating_sub((wanted - length) / 2).min(limit - wanted), wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(size: (u32, u32), area: Area) -> GrayImage {
        GrayImage::from_fn(size.0, size.1, |x, y| {
            let across = (area.left..area.left + area.width).contains(&x);
            let down = (area.top..area.top + area.height).contains(&y);
            [u8::from(across && down)].into()
        })
    }

    fn area(left: u32, top: u32, width: u32, height: u32) -> Area {
        Area { left, top, width, height }
    }

    #[test]
    fn the_box_grows_to_the_shape() {
        let small = mask((100, 80), area(40, 30, 10, 4));
        assert_eq!(around(&small, 0, (64, 64)), Some(area(40, 27, 10, 10)));
        assert_eq!(around(&small, 3, (64, 64)), Some(area(37, 24, 16, 16)));
        assert_eq!(around(&small, 3, (128, 64)), Some(area(35, 27, 20, 10)));
        // It is moved back into the picture, and ends where that ends.
        let corner = mask((100, 80), area(90, 0, 10, 4));
        assert_eq!(around(&corner, 2, (64, 64)), Some(area(88, 0, 12, 12)));
        let wide = mask((100, 20), area(0, 0, 90, 20));
        assert_eq!(around(&wide, u32::MAX, (8, 64)), Some(area(0, 0, 100, 20)));
        assert_eq!(around(&GrayImage::new(9, 9), 5, (64, 64)), None);
    }

    proptest! {
        #[test]
        fn it_holds_the_box_and_lies_in_the_picture(
            size in (1_u32..60, 1_u32..60),
            (x, y) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            (w, h) in (1_u32..60, 1_u32..60),
            padding in prop_oneof![0_u32..50, Just(u32::MAX)],
            shape in (1_u32..9, 1_u32..9),
        ) {
            let (x, y) = (x.index(size.0 as usize) as u32, y.index(size.1 as usize) as u32);
            let seen = area(x, y, w.min(size.0 - x), h.min(size.1 - y));
            let found = around(&mask(size, seen), padding, shape).unwrap();
            prop_assert!(found.left <= x && found.top <= y);
            prop_assert!(found.left + found.width >= x + seen.width);
            prop_assert!(found.top + found.height >= y + seen.height);
            prop_assert!(found.left + found.width <= size.0);
            prop_assert!(found.top + found.height <= size.1);
        }
    }
}
