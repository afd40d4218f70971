//! From a picture and a mask to what the engine takes, and from what it gives to the image.
//!
//! Everything follows from its arguments alone: the same plan gives the same bytes again.

mod blur;
mod fill;
mod mask;
mod masked;
mod placement;

use diffusion_engine::images::{GrayImage, Limits, RgbImage, decode, decode_mask};
use diffusion_engine::{Error, Initial, Result};
use diffusion_jobs::request::{Fill, Inpaint, Resize};

use self::placement::Area;
pub(crate) use self::placement::Placement;

/// Pixels by which the edge of a mask is softened where nothing else is asked for.
pub(crate) const BLUR: f64 = 4.0;

/// A picture that is drawn on.
#[derive(Debug)]
pub(crate) struct Canvas {
    picture: RgbImage,
    /// How the picture, or the part of it that is drawn, comes to the size of the drawing.
    placement: Placement,
    masked: Option<Masked>,
}

/// The part that is drawn anew.
#[derive(Debug)]
struct Masked {
    /// Of the picture's size: how much of each pixel is drawn anew.
    soft: GrayImage,
    fill: Fill,
    /// What alone is drawn, and pasted into the picture at its own size.
    only: Option<Area>,
}

impl Canvas {
    /// A picture to be drawn on at a size, under a mask if there is one.
    ///
    /// # Errors
    /// The mask leaves nothing to repaint; a picture has no pixels.
    pub(crate) fn new(
        picture: RgbImage,
        mask: Option<(&RgbImage, Inpaint)>,
        resize: Resize,
        size: (u32, u32),
    ) -> Result<Self> {
        let mut placement = Placement::new(resize, picture.dimensions(), size);
        let Some((mask, inpaint)) = mask else {
            return Ok(Self { picture, placement, masked: None });
        };
        let sharp = mask::sharp(mask, inpaint.invert);
        check(&sharp, inpaint, &placement, picture.dimensions())
            .map_err(|why| Error::Invalid(format!("the mask: {why}")))?;
        let soft = mask::soft(&sharp, picture.dimensions(), inpaint)?;
        let mut only = None;
        if let Some(padding) = inpaint.only_masked {
            let Some(area) = masked::around(&soft, padding, size) else {
                return Err(Error::Invalid("the mask leaves nothing to repaint".into()));
            };
            placement = Placement::padded(area, size);
            only = Some(area);
        }
        Ok(Self { picture, placement, masked: Some(Masked { soft, fill: inpaint.fill, only }) })
    }

    /// As [`Canvas::new`], from encoded pictures.
    ///
    /// # Errors
    /// As [`Canvas::new`]; a picture cannot be decoded.
    pub(crate) fn decode(
        picture: &[u8],
        mask: Option<(&[u8], Inpaint)>,
        resize: Resize,
        size: (u32, u32),
    ) -> Result<Self> {
        let limits = Limits::default();
        let picture = decode(picture, &limits)?;
        match mask {
            None => Self::new(picture, None, resize, size),
            Some((mask, inpaint)) => {
                let mask = decode_mask(mask, &limits)?;
                Self::new(picture, Some((&mask, inpaint)), resize, size)
            }
        }
    }

    /// What the engine starts from.
    ///
    /// # Errors
    /// The size is none that a picture can be brought to.
    pub(crate) fn initial(&self) -> Result<Initial> {
        let image = self.placement.apply(&self.picture)?;
        let Some(Masked { soft, fill, .. }) = &self.masked else { return Ok(image.into()) };
        let mask = self.placement.apply_to_mask(soft)?;
        let image = match fill {
            Fill::Surround => fill::surround(&image, &mask),
            Fill::Original | Fill::LatentNoise | Fill::LatentNothing => image,
        };
        Ok(Initial { image, mask: Some(mask) })
    }

    /// The image, once it is drawn: with a mask, laid over what it was drawn on.
    ///
    /// # Errors
    /// As [`Canvas::initial`].
    pub(crate) fn finish(&self, drawn: RgbImage) -> Result<RgbImage> {
        let Some(Masked { soft, only, .. }) = &self.masked else { return Ok(drawn) };
        match *only {
            None => {
                let mut image = self.placement.apply(&self.picture)?;
                let mask = self.placement.apply_to_mask(soft)?;
                let whole = Area::whole(image.dimensions());
                lay_over(&mut image, &drawn, &mask, whole);
                Ok(image)
            }
            Some(area) => {
                let mut image = self.picture.clone();
                lay_over(&mut image, &self.placement.undo(&drawn)?, soft, area);
                Ok(image)
            }
        }
    }
}

/// Checks that a mask leaves something to repaint, before anything is drawn; where it passes,
/// [`Canvas::new`] and the engine find something.
///
/// # Errors
/// Why there is nothing.
pub(crate) fn check_mask(
    mask: &RgbImage,
    inpaint: Inpaint,
    resize: Resize,
    picture: (u32, u32),
    size: (u32, u32),
) -> Result<(), String> {
    let placement = Placement::new(resize, picture, size);
    check(&mask::sharp(mask, inpaint.invert), inpaint, &placement, picture)
}

/// As [`check_mask`].
fn check(
    sharp: &GrayImage,
    inpaint: Inpaint,
    placement: &Placement,
    picture: (u32, u32),
) -> Result<(), String> {
    let drawn = match inpaint.only_masked {
        // Wherever that is.
        Some(_) => Area::whole(picture),
        None => placement.part(),
    };
    mask::check(sharp, inpaint.invert, picture, drawn)
}

/// Lays a drawing of this area over the image, through the image's mask.
///
/// The model draws what is at least half masked, so all of that is seen of the drawing; what is
/// softened beyond fades into the image.
fn lay_over(image: &mut RgbImage, drawn: &RgbImage, mask: &GrayImage, area: Area) {
    for (x, y, new) in drawn.enumerate_pixels() {
        let (x, y) = (area.left + x, area.top + y);
        let seen = (2 * u32::from(mask.get_pixel(x, y).0[0])).min(255);
        for (level, new) in image.get_pixel_mut(x, y).0.iter_mut().zip(new.0) {
            let sum = u32::from(*level) * (255 - seen) + u32::from(new) * seen;
            // At most 255 · 255 + 127, so the quotient is a level.
            *level = ((sum + 127) / 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests;
