//! Which part of a picture comes where on what is drawn.

use diffusion_engine::Result;
use diffusion_engine::images::{GrayImage, RgbImage, resize};
use diffusion_jobs::request::Resize;

use super::mask::resized;

/// A part of a picture, in pixels; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Area {
    /// All of a picture.
    pub(crate) fn whole((width, height): (u32, u32)) -> Self {
        Self { left: 0, top: 0, width, height }
    }

    /// The middle of a picture in another's shape, as large as it fits.
    fn middle((width, height): (u32, u32), shape: (u32, u32)) -> Self {
        let [wide, high] = [(shape.0, width), (shape.1, height)]
            .map(|(shape, side)| f64::from(shape) / f64::from(side));
        let scale = wide.max(high);
        let part = |shape: u32, side: u32| {
            ((f64::from(shape) / scale).round() as u32).clamp(1, side.max(1))
        };
        let (wide, high) = (part(shape.0, width), part(shape.1, height));
        Self { left: (width - wide) / 2, top: (height - high) / 2, width: wide, height: high }
    }

    fn size(self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The part of a picture that it is.
    fn cut(self, picture: &RgbImage) -> RgbImage {
        RgbImage::from_fn(self.width, self.height, |x, y| {
            *picture.get_pixel(self.left + x, self.top + y)
        })
    }
}

/// How a part of a picture comes to a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The part of the picture.
    from: Area,
    /// Where it comes; its edges are drawn out around it.
    to: Area,
    /// The whole of what it comes to.
    size: (u32, u32),
}

impl Placement {
    /// Of a whole picture.
    pub(crate) fn new(resize: Resize, picture: (u32, u32), size: (u32, u32)) -> Self {
        match resize {
            Resize::Stretch => Self { from: Area::whole(picture), to: Area::whole(size), size },
            Resize::Crop => Self { from: Area::middle(picture, size), to: Area::whole(size), size },
            Resize::Pad => Self::padded(Area::whole(picture), size),
        }
    }

    /// Of a part of a picture, all of it.
    pub(super) fn padded(from: Area, size: (u32, u32)) -> Self {
        Self { from, to: Area::middle(size, from.size()), size }
    }

    /// Brings a picture to the size.
    ///
    /// # Errors
    /// The picture or the size is none that can be resized.
    pub(crate) fn apply(&self, picture: &RgbImage) -> Result<RgbImage> {
        if self.from == Area::whole(picture.dimensions()) {
            return Ok(self.drawn_out(resize(picture, self.to.width, self.to.height)?));
        }
        let part = self.from.cut(picture);
        Ok(self.drawn_out(resize(&part, self.to.width, self.to.height)?))
    }

    /// As [`Placement::apply`], for a mask, of which no part that is repainted is lost.
    pub(super) fn apply_to_mask(&self, mask: &GrayImage) -> Result<GrayImage> {
        let Area { left, top, width, height } = self.from;
        let part = |x, y| *mask.get_pixel(left + x, top + y);
        let resized = resized(&GrayImage::from_fn(width, height, part), self.to.size())?;
        let Area { left, top, width, height } = self.to;
        Ok(GrayImage::from_fn(self.size.0, self.size.1, |x, y| {
            let (x, y) = (x.clamp(left, left + width - 1), y.clamp(top, top + height - 1));
            *resized.get_pixel(x - left, y - top)
        }))
    }

    /// The part of the picture that comes to the size.
    pub(super) fn part(&self) -> Area {
        self.from
    }

    /// Brings what came to the size back to the size of the part that it came from.
    ///
    /// # Errors
    /// As [`Placement::apply`].
    pub(super) fn undo(&self, drawn: &RgbImage) -> Result<RgbImage> {
        resize(&self.to.cut(drawn), self.from.width, self.from.height)
    }

    fn drawn_out(&self, picture: RgbImage) -> RgbImage {
        if self.to == Area::whole(self.size) {
            return picture;
        }
        let Area { left, top, width, height } = self.to;
        RgbImage::from_fn(self.size.0, self.size.1, |x, y| {
            let (x, y) = (x.clamp(left, left + width - 1), y.clamp(top, top + height - 1));
            *picture.get_pixel(x - left, y - top)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two columns and rows of one colour in the middle of another.
    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| [(x * 9) as u8, (y * 9) as u8, 77].into())
    }

    #[test]
    fn stretching_takes_all_of_it() {
        let picture = picture(20, 10);
        let placement = Placement::new(Resize::Stretch, (20, 10), (16, 16));
        assert_eq!(placement.apply(&picture).unwrap(), resize(&picture, 16, 16).unwrap());
    }

    #[test]
    fn cropping_takes_the_middle() {
        let placement = Placement::new(Resize::Crop, (20, 10), (10, 10));
        assert_eq!(placement.from, Area { left: 5, top: 0, width: 10, height: 10 });
        let cropped = placement.apply(&picture(20, 10)).unwrap();
        assert_eq!(cropped, placement.from.cut(&picture(20, 10)));
        let tall = Placement::new(Resize::Crop, (10, 20), (40, 20));
        assert_eq!(tall.from, Area { left: 0, top: 7, width: 10, height: 5 });
    }

    #[test]
    fn padding_draws_the_edges_out() {
        let placement = Placement::new(Resize::Pad, (10, 5), (10, 10));
        assert_eq!(placement.to, Area { left: 0, top: 2, width: 10, height: 5 });
        let picture = picture(10, 5);
        let padded = placement.apply(&picture).unwrap();
        for (x, y, pixel) in padded.enumerate_pixels() {
            assert_eq!(pixel, picture.get_pixel(x, y.clamp(2, 6) - 2));
        }
        assert_eq!(placement.undo(&padded).unwrap(), picture);
    }

    #[test]
    fn masks_go_the_way_of_their_pictures() {
        for resize in [Resize::Stretch, Resize::Crop, Resize::Pad] {
            let placement = Placement::new(resize, (20, 10), (24, 32));
            let picture = picture(20, 10);
            let mask = GrayImage::from_fn(20, 10, |x, y| [picture.get_pixel(x, y).0[0]].into());
            let (mask, picture) =
                (placement.apply_to_mask(&mask).unwrap(), placement.apply(&picture).unwrap());
            // But for what is to be repainted still.
            let pairs = mask.pixels().zip(picture.pixels()).map(|(m, p)| (m.0[0], p.0[0]));
            assert!(pairs.into_iter().all(|(m, p)| m == p || m == 128 && p < 128));
        }
    }

    proptest! {
        #[test]
        fn any_picture_comes_to_any_size(
            picture in (1_u32..40, 1_u32..40),
            size in (1_u32..40, 1_u32..40),
            resize in prop::sample::select(vec![Resize::Stretch, Resize::Crop, Resize::Pad]),
        ) {
            let placement = Placement::new(resize, picture, size);
            let applied = placement.apply(&RgbImage::new(picture.0, picture.1)).unwrap();
            prop_assert_eq!(applied.dimensions(), size);
            prop_assert_eq!(placement.undo(&applied).unwrap().dimensions(), placement.from.size());
        }
    }
}
