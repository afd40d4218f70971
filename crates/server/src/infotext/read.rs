//! From a file to what it says.

use std::collections::BTreeMap;

use anyhow::bail;
use diffusion_engine::images::read_text;

use super::exif::{self, ExifText};
use super::info::Info;
use super::record::{PARAMETERS, RECORD, Record};
use super::{a1111, comfy, invoke};

/// The keyword of a comment that is no text of this field.
const COMMENT: &str = "UserComment";

/// What a PNG, JPEG or WebP file says of how its image was made. The pixels are not looked at.
///
/// # Errors
/// It is no such file, or its texts are broken.
pub(crate) fn read(bytes: &[u8]) -> anyhow::Result<Info> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Ok(classify(read_text(bytes)?.into_iter().collect())),
        [0xff, 0xd8, ..] | [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            let exif = exif::find(bytes).map(ExifText::read);
            Ok(classify(texts(exif.unwrap_or_default())))
        }
        _ => bail!("this is neither PNG nor JPEG nor WebP: other formats hold no such text"),
    }
}

/// The texts of EXIF under the keywords that they have in a PNG.
fn texts(exif: ExifText) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    if let Some(comment) = exif.user_comment {
        // Cameras write comments too.
        let is_ours = a1111::read(&comment).steps.is_some();
        texts.insert(if is_ours { PARAMETERS } else { COMMENT }.to_owned(), comment);
    }
    texts.extend(exif.record.map(|record| (RECORD.to_owned(), record)));
    for text in exif.common {
        if let Some((keyword @ (comfy::PROMPT | comfy::WORKFLOW), json)) = text.split_once(':') {
            texts.insert(keyword.to_owned(), json.to_owned());
        }
    }
    texts
}

/// The most exact of what the texts say.
fn classify(texts: BTreeMap<String, String>) -> Info {
    let get = |keyword: &str| texts.get(keyword).map(String::as_str);
    let record = get(RECORD).and_then(|text| serde_json::from_str::<Record>(text).ok());
    // Some programs write JSON of their own under this keyword.
    let parameters = get(PARAMETERS).filter(|text| !text.trim_start().starts_with('{'));
    let info = record
        .map(|record| {
            let info = Info::from(record);
            // It names the sampler where none was asked for, too.
            let told = parameters.map(a1111::read).unwrap_or_default();
            Info {
                sampler: told.sampler.or(info.sampler),
                schedule: told.schedule.or(info.schedule),
                parameters: told.parameters,
                ..info
            }
        })
        .or_else(|| parameters.map(a1111::read))
        .or_else(|| invoke::read(get))
        .or_else(|| comfy::read(get))
        .unwrap_or_default();
    Info { texts, ..info }
}

#[cfg(test)]
mod tests {
    use diffusion_engine::images::{RgbImage, encode_png};
    use proptest::prelude::*;

    use super::*;
    use crate::infotext::Origin;

    fn png(texts: &[(&str, &str)]) -> Vec<u8> {
        encode_png(&RgbImage::new(1, 1), texts).unwrap()
    }

    #[test]
    fn the_most_exact_text_counts() {
        let parameters = ("parameters", "a cat\nSteps: 1, Sampler: Euler, Seed: 3");
        let graph = r#"{"3": {"class_type": "KSampler", "inputs": {"seed": 9, "steps": 2}}}"#;
        let of = |texts: &[(&str, &str)]| read(&png(texts)).unwrap();
        let info = of(&[("prompt", graph), parameters]);
        assert_eq!((info.origin, info.seed), (Some(Origin::Automatic1111), Some(3)));
        assert_eq!(info.texts["prompt"], graph);
        let info = of(&[("prompt", graph), ("parameters", "{\"sui\": 1}")]);
        assert_eq!((info.origin, info.seed), (Some(Origin::ComfyUi), Some(9)));
        let info = of(&[("Software", "a camera")]);
        assert_eq!((info.origin, info.texts.len()), (None, 1));
        // What is broken of ours is no reason to leave out the rest.
        let info = of(&[("diffusion-server", "{"), parameters]);
        assert_eq!(info.origin, Some(Origin::Automatic1111));
    }

    #[test]
    fn other_files_are_refused_in_words() {
        for bytes in [&b""[..], b"GIF89a", b"{}"] {
            assert!(read(bytes).unwrap_err().to_string().contains("neither PNG nor JPEG"));
        }
        assert!(read(b"\x89PNG\r\n\x1a\n").is_err());
        assert_eq!(read(b"\xff\xd8").unwrap(), Info::default());
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for start in [&b""[..], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1\0\x40Exif\0\0MM\0\x2a"] {
                let _ = read(&[start, &bytes].concat());
            }
        }

        #[test]
        fn no_texts_break_it(
            texts in proptest::collection::btree_map(
                "parameters|prompt|workflow|invokeai_metadata|sd-metadata|Dream|diffusion-server",
                "\\PC{0,80}|\\{\"[a-z]{1,3}\": ?[\\[\\{\"0-9]{0,9}[\\]\\}]{0,4}\\}",
                0..4,
            ),
        ) {
            let info = classify(texts.clone());
            prop_assert_eq!(info.texts, texts);
        }
    }
}
