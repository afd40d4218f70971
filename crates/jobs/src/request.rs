//! A request, whatever dialect it came in: what is asked, before anything is looked up.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Error, Priority, Result};

/// What kind of images are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// From a prompt.
    TextToImage,
    /// From a picture and a prompt.
    ImageToImage,
    /// From each picture, with a prompt and a model drawn at random.
    Random,
}

impl Kind {
    /// The name in the record and over HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextToImage => "txt2img",
            Self::ImageToImage => "img2img",
            Self::Random => "random",
        }
    }
}

/// A picture to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// One of the data set, by its id, name or path.
    Named(String),
    /// The encoded picture itself.
    Data(Bytes),
}

/// Which API a request came through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Ours, `/api/v1`.
    #[default]
    Native,
    /// The original's.
    Original,
    /// OpenAI's Images API.
    OpenAi,
    /// AUTOMATIC1111's.
    A1111,
}

impl Dialect {
    /// The name in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Original => "original",
            Self::OpenAi => "openai",
            Self::A1111 => "a1111",
        }
    }
}

/// How a picture comes to the size of the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Squashed or stretched.
    #[default]
    Stretch,
    /// Its middle, as large as it fits.
    Crop,
    /// Whole, with its edges drawn out around it.
    Pad,
}

/// What the repainted part of a picture begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// The colours around it.
    Surround,
    /// What is there.
    #[default]
    Original,
    /// Noise.
    LatentNoise,
    /// An empty latent.
    LatentNothing,
}

/// How the repainted part of a picture is treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inpaint {
    /// Whether what the mask leaves out is repainted instead.
    pub invert: bool,
    /// Deviation in pixels of the picture by which the mask's edge is softened.
    pub blur: f64,
    /// What it begins with.
    pub fill: Fill,
    /// Repaints the part alone at the full size of the image, with so many pixels around it.
    pub only_masked: Option<u32>,
}

/// The part of the pictures that is repainted.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// White is repainted, black is kept; brought to the size of the picture.
    pub picture: Input,
    /// How.
    pub inpaint: Inpaint,
}

/// How prompts are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Syntax {
    /// As they stand, cut off after what the text encoder reads at once.
    #[default]
    Plain,
    /// As they stand, as long as they are.
    Long,
    /// With AUTOMATIC1111's weights and schedules.
    A1111,
}

/// What is asked. What is not given takes the default of the kind or of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What kind of images.
    pub kind: Kind,
    /// What they show; at least one.
    pub prompts: Vec<String>,
    /// What they should not show.
    pub negative_prompt: String,
    /// Names of models; the first at hand, or for a draw all, if none.
    pub models: Vec<String>,
    /// Pictures to start from; for a draw the whole data set, if none.
    pub inputs: Vec<Input>,
    /// How far to go from the picture: above 0, to 1.
    pub strength: Option<f64>,
    /// Steps of the full schedule.
    pub steps: Option<u32>,
    /// Guidance scale.
    pub guidance: Option<f64>,
    /// Scheduler by name; for a draw `euler`, else the model's own, if none.
    pub scheduler: Option<String>,
    /// In pixels; the model's own, or the picture's shape at the model's own area, if none.
    pub width: Option<u32>,
    /// As `width`.
    pub height: Option<u32>,
    /// Of the first image; the following have the following ones. Random if none.
    pub seed: Option<u64>,
    /// Images for each prompt, model and picture.
    pub count: u32,
    /// Its place among the owner's.
    pub priority: Priority,
    /// The part of the pictures that is repainted; all of them if none.
    pub mask: Option<Mask>,
    /// How pictures come to the size of the image.
    pub resize: Resize,
    /// How prompts are read.
    pub syntax: Syntax,
    /// Which of the text encoder's layers conditions, counted from its last, 1.
    pub clip_skip: Option<u32>,
    /// Seed of the noise that is mixed in for the first image, and its part, 0 to 1. The following
    /// images have the following ones, and all have the same `seed`.
    pub variation: Option<(u64, f64)>,
    /// The API that it came through.
    pub dialect: Dialect,
    /// What the client calls it.
    pub label: Option<String>,
}

/// Images that one job may have.
pub const MOST_IMAGES: usize = 1000;
/// Deviation in pixels by which a mask may be softened.
pub const MOST_BLUR: f64 = 256.0;
/// Steps that one image may have.
pub const MOST_STEPS: u32 = 1000;
/// Bytes of a prompt: no text encoder reads so much.
pub const LONGEST_PROMPT: usize = 64 << 10;
/// Bytes of the prompts of all images of a job, each of which keeps its own.
pub const MOST_PROMPTS: usize = 16 << 20;
/// Bytes of what a client calls its job.
pub const LONGEST_LABEL: usize = 1024;

impl Request {
    /// A request of this kind with defaults.
    pub fn new(kind: Kind, prompts: Vec<String>) -> Self {
        Self {
            kind,
            prompts,
            negative_prompt: String::new(),
            models: Vec::new(),
            inputs: Vec::new(),
            strength: None,
            steps: None,
            guidance: None,
            scheduler: None,
            width: None,
            height: None,
            seed: None,
            count: 1,
            priority: Priority::Normal,
            mask: None,
            resize: Resize::default(),
            syntax: Syntax::default(),
            clip_skip: None,
            variation: None,
            dialect: Dialect::default(),
            label: None,
        }
    }

    /// Checks what can be checked without looking anything up.
    ///
    /// # Errors
    /// [`Error::Field`]: a field is out of range, or does not go with the kind.
    pub fn check(&self) -> Result<()> {
        let wrong = |field, message: &str| Err(Error::field(field, message));
        if self.prompts.is_empty() {
            return wrong("prompt", "a prompt is needed");
        }
        let named = self.inputs.iter().enumerate().filter_map(|(i, input)| match input {
            Input::Named(name) => Some((format!("images[{i}]"), name)),
            Input::Data(_) => None,
        });
        let models = self.models.iter().enumerate().map(|(i, name)| (format!("models[{i}]"), name));
        let prompts = self.prompts.iter().map(|text| ("prompt".to_owned(), text));
        let negative = [("negative_prompt".to_owned(), &self.negative_prompt)];
        let label = self.label.iter().map(|text| ("label".to_owned(), text));
        for (field, text) in prompts.chain(negative).chain(models).chain(named).chain(label) {
            // No column of Postgres holds it.
            if text.contains('\0') {
                return Err(Error::field(field, "a text may not hold the character NUL"));
            }
        }
        let prompts = self.prompts.iter().map(|text| ("prompt", text));
        for (field, text) in prompts.chain([("negative_prompt", &self.negative_prompt)]) {
            if text.len() > LONGEST_PROMPT {
                let message = format!("has {} bytes: {LONGEST_PROMPT} are possible", text.len());
                return Err(Error::field(field, message));
            }
        }
        let lists = [
            ("prompts", self.prompts.len()),
            ("models", self.models.len()),
            ("images", self.inputs.len()),
        ];
        for (field, length) in lists {
            if length > MOST_IMAGES {
                let message = format!("has {length} entries: {MOST_IMAGES} are possible");
                return Err(Error::field(field, message));
            }
        }
        if let Some(label) = self.label.as_ref().filter(|label| label.len() > LONGEST_LABEL) {
            let message = format!("has {} bytes: {LONGEST_LABEL} are possible", label.len());
            return Err(Error::field("label", message));
        }
        match self.kind {
            Kind::TextToImage if !self.inputs.is_empty() => {
                return wrong("init_image", "txt2img starts from no picture; ask for img2img");
            }
            Kind::TextToImage if self.strength.is_some() => {
                return wrong("strength", "txt2img has none; ask for img2img");
            }
            Kind::TextToImage | Kind::Random if self.mask.is_some() => {
                return wrong("mask", "only img2img repaints a part; ask for it");
            }
            Kind::ImageToImage if self.inputs.is_empty() => {
                return wrong("init_image", "img2img starts from a picture");
            }
            _ => {}
        }
        if let Some(steps) = self.steps
            && !(1..=MOST_STEPS).contains(&steps)
        {
            return Err(Error::field(
                "steps",
                format!("{steps} is not between 1 and {MOST_STEPS}"),
            ));
        }
        if let Some(mask) = &self.mask
            && !(0.0..=MOST_BLUR).contains(&mask.inpaint.blur)
        {
            let message = format!("{}: 0 to {MOST_BLUR} pixels are possible", mask.inpaint.blur);
            return Err(Error::field("mask_blur", message));
        }
        if let Some((_, part)) = self.variation
            && !(0.0..=1.0).contains(&part)
        {
            return wrong("variation_strength", "a part from 0 to 1 is needed");
        }
        if self.count == 0 || self.count as usize > MOST_IMAGES {
            let message = format!("{} is not between 1 and {MOST_IMAGES}", self.count);
            return Err(Error::field("count", message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_together_is_named() {
        let ask = |kind| Request::new(kind, vec!["a cat".into()]);
        let picture = || vec![Input::Named("a.png".into())];
        ask(Kind::TextToImage).check().unwrap();
        ask(Kind::Random).check().unwrap();
        Request { inputs: picture(), ..ask(Kind::ImageToImage) }.check().unwrap();
        for (request, field) in [
            (Request::new(Kind::Random, Vec::new()), "prompt"),
            (Request { inputs: picture(), ..ask(Kind::TextToImage) }, "init_image"),
            (Request { strength: Some(0.5), ..ask(Kind::TextToImage) }, "strength"),
            (ask(Kind::ImageToImage), "init_image"),
            (Request { steps: Some(0), ..ask(Kind::Random) }, "steps"),
            (Request { steps: Some(1001), ..ask(Kind::Random) }, "steps"),
            (Request { count: 0, ..ask(Kind::Random) }, "count"),
            (Request::new(Kind::Random, vec!["a\0".into()]), "prompt"),
            (Request { models: vec!["\0".into()], ..ask(Kind::Random) }, "models[0]"),
            (Request { negative_prompt: "\0".into(), ..ask(Kind::Random) }, "negative_prompt"),
            (Request::new(Kind::Random, vec!["a".repeat(65_537)]), "prompt"),
            (Request::new(Kind::Random, vec!["a".into(); 1001]), "prompts"),
            (Request { models: vec!["m".into(); 1001], ..ask(Kind::Random) }, "models"),
            (Request { label: Some("a".repeat(1025)), ..ask(Kind::Random) }, "label"),
        ] {
            let error = request.check().unwrap_err();
            assert!(
                matches!(&error, Error::Field { field: found, .. } if found == field),
                "{error}"
            );
        }
    }
}
