//! Sizes as clients ask for them, and as models draw them.
//!
//! Clients ask for the sizes of OpenAI's models, such as 1024×1024. A Stable Diffusion model draws
//! well about the area that it was trained for: much larger and things appear twice, much smaller
//! and they are unrecognisable. So what is between half and twice that area is drawn as asked, and
//! everything else in the same shape at the model's own area.

use diffusion_engine::ModelInfo;
use diffusion_engine::images::fit;

use super::error::wrong;
use crate::http::Result;

/// The longest side that can be asked for, in pixels.
const LONGEST: u32 = 16384;

/// Reads `WIDTHxHEIGHT`, or `auto` or nothing, for which it is none.
///
/// # Errors
/// It is neither, or a side is 0 or longer than [`LONGEST`].
pub(super) fn parse(text: Option<&str>) -> Result<Option<(u32, u32)>> {
    let Some(text) = text.filter(|text| !matches!(*text, "" | "auto")) else { return Ok(None) };
    let sides = text.split_once('x').and_then(|(width, height)| {
        let side = |text: &str| text.parse().ok().filter(|side| (1..=LONGEST).contains(side));
        Some((side(width)?, side(height)?))
    });
    let why = || format!("{text:?} is neither \"auto\" nor WIDTHxHEIGHT such as \"1024x1024\"");
    sides.map(Some).ok_or_else(|| wrong("size", why()))
}

/// The size at which a model draws what is asked, in pixels.
///
/// # Errors
/// The model's own size is none.
pub(super) fn drawn(asked: (u32, u32), model: &ModelInfo) -> Result<(u32, u32)> {
    let (height, width) = model.native_size();
    near(asked, u64::from(width) * u64::from(height), model.multiple())
}

/// [`drawn`], for a model of this native area whose sides are multiples of this.
fn near((width, height): (u32, u32), native: u64, multiple: u32) -> Result<(u32, u32)> {
    let area = u64::from(width) * u64::from(height);
    let area = if (native / 2..=native * 2).contains(&area) { area } else { native };
    fit(width, height, area, multiple).map_err(|error| wrong("size", error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse(None).unwrap(), None);
        assert_eq!(parse(Some("auto")).unwrap(), None);
        assert_eq!(parse(Some("")).unwrap(), None);
        assert_eq!(parse(Some("1792x1024")).unwrap(), Some((1792, 1024)));
        for text in [" ", "x", "1024", "1024x", "0x8", "8x16385", "-8x8", "8 x 8", "8x8x8", "large"]
        {
            assert_eq!(parse(Some(text)).unwrap_err().told().field.as_deref(), Some("size"));
        }
    }

    #[test]
    fn what_a_model_takes_is_drawn_as_asked() {
        for asked in [(512, 512), (768, 512), (512, 768), (640, 640), (512, 384)] {
            assert_eq!(near(asked, 512 * 512, 8).unwrap(), asked);
        }
        assert_eq!(near((1024, 1024), 768 * 768, 8).unwrap(), (1024, 1024));
        assert_eq!(near((509, 511), 512 * 512, 8).unwrap(), (512, 512));
    }

    #[test]
    fn what_it_does_not_keeps_its_shape() {
        for (asked, drawn) in [
            ((1024, 1024), (512, 512)),
            ((256, 256), (512, 512)),
            ((1792, 1024), (680, 384)),
            ((1024, 1792), (384, 680)),
            ((1536, 1024), (624, 416)),
            ((16384, 1), (1024, 256)),
        ] {
            assert_eq!(near(asked, 512 * 512, 8).unwrap(), drawn, "{asked:?}");
        }
        assert_eq!(near((1024, 1024), 128 * 128, 8).unwrap(), (128, 128));
    }

    proptest! {
        #[test]
        fn every_size_becomes_one_that_a_model_can_do(width in 1..=LONGEST, height in 1..=LONGEST) {
            let (w, h) = near((width, height), 512 * 512, 8).unwrap();
            prop_assert!(w % 8 == 0 && h % 8 == 0 && w >= 8 && h >= 8);
            prop_assert!(u64::from(w) * u64::from(h) <= 2 * 512 * 512 + 8 * (1024 + 1024));
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC{0,40}|[0-9]{0,12}x[0-9]{0,12}") {
            let _ = parse(Some(&text));
        }
    }
}
