//! The fields of a request, as its clients send them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::wrong;
use crate::encode::Format;
use crate::http::Result;

/// The longest prompt that OpenAI's API takes, in characters.
const LONGEST_PROMPT: usize = 32_000;

/// What to draw, and how. Fields that are not known are ignored
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = OpenAiImageRequest, example = json!({
    "prompt": "cat dancing in rain", "model": "dall-e-3", "size": "1024x1024",
    "response_format": "b64_json"
}))]
pub(in crate::http) struct Wanted {
    /// What the image shows
    #[schema(required, max_length = 32000, example = "cat dancing in rain")]
    pub(super) prompt: Option<String>,
    /// A model of `/v1/models`; OpenAI's own names, such as `dall-e-3`, stand for the first at hand
    pub(super) model: Option<String>,
    /// Images, 1 if none
    #[schema(minimum = 1, maximum = 10)]
    pub(super) n: Option<u32>,
    /// `WIDTHxHEIGHT` or `auto`. What the model does not take becomes the same shape at its own
    /// area; the answer says the real size
    #[schema(example = "1024x1024")]
    pub(super) size: Option<String>,
    /// `b64_json` for OpenAI's `gpt-image` names if none, else `url`
    pub(super) response_format: Option<ResponseFormat>,
    /// `png` if none
    pub(super) output_format: Option<OutputFormat>,
    /// The quality of jpeg and webp, 100 if none
    #[schema(minimum = 0, maximum = 100)]
    pub(super) output_compression: Option<u32>,
    /// How many steps are made
    pub(super) quality: Option<Quality>,
    /// `transparent` is refused
    pub(super) background: Option<Background>,
    /// How much an edit keeps of the picture; `strength` says it exactly
    pub(super) input_fidelity: Option<Fidelity>,
    /// Answers with server-sent events
    pub(super) stream: Option<bool>,
    /// Unfinished images that are streamed before each image
    #[schema(minimum = 0, maximum = 3)]
    pub(super) partial_images: Option<u32>,
    /// Ignored: prompts are not rewritten
    pub(super) style: Option<String>,
    /// Ignored: nothing is filtered
    pub(super) moderation: Option<String>,
    /// The job's label
    pub(super) user: Option<String>,
    /// The job's label, before `user`
    pub(super) safety_identifier: Option<String>,
    /// Extension: of the first image, those that follow have the following ones; random if none or
    /// below 0
    pub(super) seed: Option<i64>,
    /// Extension: what the image should not show
    pub(super) negative_prompt: Option<String>,
    /// Extension: steps, in place of `quality`
    #[schema(minimum = 1, maximum = 1000)]
    pub(super) num_inference_steps: Option<u32>,
    /// Extension: how closely to follow the prompt; 1 is no guidance, and the least. If none, what
    /// the model names, else 7.5
    #[schema(minimum = 1, maximum = 1000)]
    pub(super) guidance_scale: Option<f64>,
    /// Extension: how far an edit or a variation goes from the picture: above 0, to 1
    #[schema(exclusive_minimum = 0.0, maximum = 1.0)]
    pub(super) strength: Option<f64>,
    /// Of a body that is no form, which can hold no picture: refused.
    #[serde(default, skip_serializing)]
    #[schema(ignore)]
    pub(super) image: Option<serde_json::Value>,
    /// As `image`.
    #[serde(default, skip_serializing)]
    #[schema(ignore)]
    pub(super) mask: Option<serde_json::Value>,
}

/// How images come
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OpenAiResponseFormat)]
pub(super) enum ResponseFormat {
    Url,
    B64Json,
}

/// The format of the files
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OpenAiOutputFormat)]
pub(super) enum OutputFormat {
    #[default]
    Png,
    Jpeg,
    Webp,
}

impl From<OutputFormat> for Format {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Png => Self::Png,
            OutputFormat::Jpeg => Self::Jpeg,
            OutputFormat::Webp => Self::Webp,
        }
    }
}

/// How many steps are made, of a model that names none itself: low 15, medium 30, high 50, xhigh
/// 75, max 100
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OpenAiQuality)]
pub(super) enum Quality {
    Low,
    Medium,
    High,
    Xhigh,
    Max,
    #[default]
    Auto,
    Standard,
    Hd,
}

impl Quality {
    /// The steps that it stands for; none for those of any job.
    pub(super) fn steps(self) -> Option<u32> {
        match self {
            Self::Low => Some(15),
            Self::Medium | Self::Auto | Self::Standard => None,
            Self::High | Self::Hd => Some(50),
            Self::Xhigh => Some(75),
            Self::Max => Some(100),
        }
    }

    /// As answers tell it.
    pub(super) fn told(self) -> Self {
        match self {
            Self::Auto | Self::Standard => Self::Medium,
            Self::Hd => Self::High,
            other => other,
        }
    }
}

/// What is behind what is drawn
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OpenAiBackground)]
pub(super) enum Background {
    Transparent,
    Opaque,
    Auto,
}

/// How much an edit keeps
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OpenAiInputFidelity)]
pub(super) enum Fidelity {
    High,
    Low,
}

impl Wanted {
    /// Checks the ranges that are this API's own.
    ///
    /// # Errors
    /// The field that is out of range, or asks for what cannot be done.
    pub(super) fn check(&self) -> Result<()> {
        let within = |field: &str, value: Option<u32>, least: u32, most: u32| match value {
            Some(value) if !(least..=most).contains(&value) => {
                Err(wrong(field, format!("{value} is not between {least} and {most}")))
            }
            _ => Ok(()),
        };
        within("n", self.n, 1, 10)?;
        within("output_compression", self.output_compression, 0, 100)?;
        within("partial_images", self.partial_images, 0, 3)?;
        if self.prompt.as_ref().is_some_and(|text| text.chars().count() > LONGEST_PROMPT) {
            let why = format!("it is longer than {LONGEST_PROMPT} characters");
            return Err(wrong("prompt", why));
        }
        if let Some(strength) = self.strength
            && !(strength > 0.0 && strength <= 1.0)
        {
            return Err(wrong("strength", format!("{strength} is not above 0 and at most 1")));
        }
        if let Some(scale) = self.guidance_scale
            && scale < 1.0
        {
            let why = format!("{scale} is less than 1, at which there is no guidance");
            return Err(wrong("guidance_scale", why));
        }
        for (field, picture) in [("image", &self.image), ("mask", &self.mask)] {
            if picture.is_some() {
                let why = "no picture is drawn from here: send a form to /v1/images/edits";
                return Err(wrong(field, why));
            }
        }
        if self.background == Some(Background::Transparent) {
            return Err(wrong(
                "background",
                "\"transparent\" cannot be drawn here; ask for opaque",
            ));
        }
        Ok(())
    }

    /// The quality of files with loss, 0 to 100.
    pub(super) fn compression(&self) -> u8 {
        self.output_compression.and_then(|value| value.try_into().ok()).unwrap_or(100)
    }

    /// What the job is called.
    pub(super) fn label(&self) -> Option<String> {
        let given = [&self.safety_identifier, &self.user].into_iter().flatten();
        given.into_iter().find(|text| !text.is_empty()).cloned()
    }

    /// Whether images come as base64, asked for or by default.
    pub(super) fn in_base64(&self) -> bool {
        match self.response_format {
            Some(format) => format == ResponseFormat::B64Json,
            None => {
                let model = self.model.as_deref().unwrap_or_default();
                model.starts_with("gpt-image-") || model.starts_with("chatgpt-image-")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn wanted(fields: serde_json::Value) -> Wanted {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn ranges_are_the_apis_own() {
        for fit in [
            json!({}),
            json!({"prompt": "a", "n": 10, "partial_images": 3, "output_compression": 0}),
            json!({"n": null, "style": "vivid", "moderation": "low", "background": "auto"}),
            json!({"unknown": {"deep": [1]}, "quality": "hd", "seed": -1, "guidance_scale": 1}),
            json!({"image": null, "mask": null}),
        ] {
            wanted(fit).check().unwrap();
        }
        for (unfit, field) in [
            (json!({"n": 0}), "n"),
            (json!({"n": 11}), "n"),
            (json!({"partial_images": 4}), "partial_images"),
            (json!({"output_compression": 101}), "output_compression"),
            (json!({"background": "transparent"}), "background"),
            (json!({"strength": 0}), "strength"),
            (json!({"strength": 1.5}), "strength"),
            (json!({"mask": "data:image/png;base64,AA"}), "mask"),
            (json!({"image": "data:image/png;base64,AA"}), "image"),
            (json!({"guidance_scale": 0.5}), "guidance_scale"),
            (json!({"guidance_scale": -7}), "guidance_scale"),
            (json!({"prompt": "a".repeat(32_001)}), "prompt"),
        ] {
            let problem = wanted(unfit).check().unwrap_err();
            assert_eq!(problem.told().field.as_deref(), Some(field));
        }
    }

    #[test]
    fn what_is_not_said_follows_the_model() {
        let base64 = |fields| wanted(fields).in_base64();
        assert!(!base64(json!({})) && !base64(json!({"model": "dall-e-3"})));
        assert!(base64(json!({"model": "gpt-image-1.5"})));
        assert!(!base64(json!({"model": "gpt-image-1.5", "response_format": "url"})));
        assert!(base64(json!({"response_format": "b64_json"})));
    }

    #[test]
    fn labels() {
        let label = |fields| wanted(fields).label();
        assert_eq!(label(json!({"user": "u"})).as_deref(), Some("u"));
        let both = label(json!({"user": "u", "safety_identifier": "s"}));
        assert_eq!(both.as_deref(), Some("s"));
        assert_eq!(label(json!({"user": "", "safety_identifier": ""})), None);
    }

    proptest! {
        #[test]
        fn no_numbers_break_it(n in any::<u32>(), partial in any::<u32>(), seed in any::<i64>()) {
            let all = json!({"n": n, "partial_images": partial, "seed": seed});
            let checked = wanted(all).check();
            prop_assert_eq!(checked.is_ok(), (1..=10).contains(&n) && partial <= 3);
        }
    }
}
