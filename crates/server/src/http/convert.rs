//! Stored PNGs in other formats.

use bytes::Bytes;
use diffusion_engine::images::{Limits, decode, read_text};

use super::{Problem, Result};
use crate::encode::{Format, encode};
use crate::explain::explain;
use crate::places::place;

/// An image of ours in a format, with what it says of itself. `quality` is from 0 to 100.
///
/// # Errors
/// 422 where the format cannot hold it; 500 where it is no PNG.
pub(crate) async fn convert(png: Bytes, format: Format, quality: u8) -> Result<Bytes> {
    if format == Format::Png {
        return Ok(png);
    }
    encoded(png, format, quality, true).await
}

/// As [`convert`], with nothing of itself.
///
/// # Errors
/// As [`convert`].
pub(crate) async fn convert_bare(png: Bytes, format: Format, quality: u8) -> Result<Bytes> {
    encoded(png, format, quality, false).await
}

async fn encoded(png: Bytes, format: Format, quality: u8, with_texts: bool) -> Result<Bytes> {
    let place = place().await;
    let work = move || {
        let _place = place;
        let texts =
            if with_texts { read_text(&png).map_err(Problem::internal)? } else { Vec::new() };
        let texts: Vec<_> = texts.iter().map(|(key, text)| (&**key, &**text)).collect();
        let image = decode(&png, &Limits::default()).map_err(Problem::internal)?;
        encode(&image, format, quality, &texts).map(Bytes::from).map_err(|error| {
            Problem::invalid(format!("format: {}", explain(&error))).field("format")
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}
