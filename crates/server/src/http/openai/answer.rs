//! What is answered.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::fields::{Background, OutputFormat, Quality};
use super::files::{Linked, read};
use super::job::{Asked, Made, Outcome};
use crate::http::{AppState, Result};

/// The images
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiImages, example = json!({
    "created": 1763834400,
    "data": [{
        "url": "http://127.0.0.1:8000/v1/images/files/0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90/0.png\
            ?quality=100&expires=1763838000&signature=4rIa0zGNLqXyKQyDPIkBHFxTNkYlCOZGWNqdWWMfQHc",
        "seed": 7
    }],
    "background": "opaque", "output_format": "png", "quality": "medium", "size": "512x512",
    "usage": {
        "input_tokens": 4, "output_tokens": 1024, "total_tokens": 1028,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 4},
        "output_tokens_details": {"image_tokens": 1024, "text_tokens": 0}
    },
    "model": "stable-diffusion-v1-5",
    "job": "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90"
}))]
pub(super) struct Images {
    /// When they were made, in seconds since 1970
    created: i64,
    data: Vec<Image>,
    background: Background,
    output_format: OutputFormat,
    quality: Quality,
    /// The real one, `WIDTHxHEIGHT`; left out where the images differ
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    usage: Usage,
    /// Extension: the model that drew them
    model: String,
    /// Extension: the job, as in `/api/v1/jobs`
    job: Uuid,
    /// Extension: why images are missing, where some could not be made
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<String>,
}

/// An image
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiImage)]
struct Image {
    /// The file in base64
    #[serde(skip_serializing_if = "Option::is_none")]
    b64_json: Option<String>,
    /// Where the file is for an hour, without a key
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Extension: the seed that it was drawn from
    seed: u64,
}

/// How much was read and drawn. Nothing is paid for it: the tokens of a text are its words, numbers
/// and signs, those of an image its squares of 16 pixels
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = OpenAiUsage)]
pub(super) struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    input_tokens_details: Tokens,
    output_tokens_details: Tokens,
}

/// Of which kind tokens are
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = OpenAiTokens)]
struct Tokens {
    image_tokens: u64,
    text_tokens: u64,
}

impl Usage {
    /// Of images that were drawn from so many pictures.
    pub(super) fn new(asked: &Asked, made: &[Made], pictures: usize) -> Self {
        let prompt = asked.wanted.prompt.as_deref().unwrap_or_default();
        let negative = asked.wanted.negative_prompt.as_deref().unwrap_or_default();
        let drawn: Vec<u64> = made.iter().map(|image| squares(image.size)).collect();
        let input = Tokens {
            image_tokens: drawn.first().copied().unwrap_or_default() * pictures as u64,
            text_tokens: words(prompt) + words(negative),
        };
        let output = Tokens { image_tokens: drawn.iter().sum(), text_tokens: 0 };
        let input_tokens = input.image_tokens + input.text_tokens;
        Self {
            input_tokens,
            output_tokens: output.image_tokens,
            total_tokens: input_tokens + output.image_tokens,
            input_tokens_details: input,
            output_tokens_details: output,
        }
    }
}

/// The squares of 16 pixels that cover an image.
fn squares((width, height): (u32, u32)) -> u64 {
    u64::from(width.div_ceil(16)) * u64::from(height.div_ceil(16))
}

/// Words and numbers, and the signs between them.
fn words(text: &str) -> u64 {
    let (mut count, mut inside) = (0, false);
    for c in text.chars() {
        let is_word = c.is_alphanumeric() || c == '\'';
        if !(c.is_whitespace() || is_word && inside) {
            count += 1;
        }
        inside = is_word;
    }
    count
}

/// Sides as the API writes them.
pub(super) fn size((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}

impl Images {
    /// The answer to what was asked.
    ///
    /// # Errors
    /// A file cannot be read or encoded.
    pub(super) async fn new(
        state: &AppState,
        asked: &Asked,
        outcome: Outcome,
        origin: &str,
    ) -> Result<Self> {
        let Outcome { job, made, failures, ended } = outcome;
        let format = asked.wanted.output_format.unwrap_or_default();
        let quality = asked.wanted.compression();
        let in_base64 = asked.wanted.in_base64();
        let mut data = Vec::new();
        for image in &made {
            let (mut b64_json, mut url) = (None, None);
            if in_base64 {
                let file = read(state, &image.sha256, format.into(), quality).await?;
                b64_json = Some(BASE64_STANDARD.encode(&file));
            } else {
                let file = Linked { job, index: image.index, format: format.into(), quality };
                let path = state.links.path(file, chrono::Utc::now().timestamp());
                url = Some(format!("{origin}{path}"));
            }
            data.push(Image { b64_json, url, seed: image.seed });
        }
        let mut sizes: Vec<(u32, u32)> = made.iter().map(|image| image.size).collect();
        sizes.dedup();
        Ok(Self {
            created: ended,
            data,
            background: Background::Opaque,
            output_format: format,
            quality: asked.wanted.quality.unwrap_or_default().told(),
            size: if let [one] = sizes[..] { Some(size(one)) } else { None },
            usage: Usage::new(asked, &made, asked.pictures.len()),
            model: made.first().map(|image| image.model.clone()).unwrap_or_default(),
            job,
            failures,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens() {
        assert_eq!(words(""), 0);
        assert_eq!(words("cat dancing in rain"), 4);
        assert_eq!(words("a cat's hat, 2 dogs!"), 7);
        assert_eq!(words("  \n\t"), 0);
        assert_eq!(squares((512, 512)), 1024);
        assert_eq!(squares((129, 16)), 9);
    }

    proptest! {
        #[test]
        fn no_text_has_more_words_than_characters(text in "\\PC{0,60}") {
            prop_assert!(words(&text) <= text.chars().count() as u64);
        }
    }
}
