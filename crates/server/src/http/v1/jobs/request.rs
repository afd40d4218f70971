//! What a job is asked for with.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use diffusion_jobs::request::{Inpaint, Input, Kind, Mask};
use diffusion_jobs::{Error, Priority, Request};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choices::{JobResize, JobSyntax, MaskFill};
use crate::inpaint::BLUR;

/// What kind of images to make
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum JobKind {
    /// From a prompt
    Txt2img,
    /// From a picture and a prompt
    Img2img,
    /// From each picture of the data set, with a prompt and a model drawn at random
    Random,
}

impl From<JobKind> for Kind {
    fn from(kind: JobKind) -> Self {
        match kind {
            JobKind::Txt2img => Self::TextToImage,
            JobKind::Img2img => Self::ImageToImage,
            JobKind::Random => Self::Random,
        }
    }
}

/// Which of one's own jobs goes first
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum JobPriority {
    High,
    #[default]
    Normal,
    Low,
}

/// The images to make: each prompt with each model and each picture, `count` times
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kind": "txt2img", "prompt": "cat dancing in rain", "steps": 20, "seed": 7
}))]
pub(in crate::http) struct NewJob {
    kind: JobKind,
    /// What the image shows; this or `prompts`
    #[serde(default)]
    #[schema(example = "cat dancing in rain")]
    prompt: Option<String>,
    /// Several prompts; a random job draws one of them for each picture
    #[serde(default)]
    prompts: Option<Vec<String>>,
    /// What the image should not show
    #[serde(default)]
    negative_prompt: Option<String>,
    /// A model's name or id, as `/api/v1/models` lists them; the first at hand if none, for a
    /// random job all
    #[serde(default)]
    model: Option<String>,
    /// Several models; a random job draws one of them for each picture
    #[serde(default)]
    models: Option<Vec<String>>,
    /// Pictures to start from: images of the data set by id, name or path, or encoded pictures in
    /// base64, also as data URLs. For a random job the whole data set if none
    #[serde(default)]
    images: Option<Vec<String>>,
    /// One picture to start from, likewise
    #[serde(default)]
    init_image: Option<String>,
    /// How far to go from the picture: above 0, to 1
    #[serde(default)]
    #[schema(default = 0.8, exclusive_minimum = 0.0, maximum = 1.0)]
    strength: Option<f64>,
    /// How the picture comes to the image's size
    #[serde(default)]
    #[schema(default = "stretch")]
    resize: Option<JobResize>,
    /// Repaint only a part of the picture: what is white in this picture, or what is opaque in one
    /// that has transparent parts; it is brought to the other's size. An image of the data set, or
    /// in base64, as `init_image`. What is kept stays pixel for pixel, beyond the softened edge
    #[serde(default)]
    mask: Option<String>,
    /// Pixels of the picture by which the mask's edge is softened: the deviation of a Gaussian blur
    #[serde(default)]
    #[schema(default = 4.0, minimum = 0.0, maximum = 256.0)]
    mask_blur: Option<f64>,
    /// Repaint what is black in the mask instead
    #[serde(default)]
    #[schema(default = false)]
    mask_invert: Option<bool>,
    /// What the repainted part begins with
    #[serde(default)]
    #[schema(default = "original")]
    mask_fill: Option<MaskFill>,
    /// Draw only the masked part, with so many pixels around it, at the image's full size, and
    /// paste it into the picture; the result has the picture's own size
    #[serde(default)]
    #[schema(minimum = 0, example = 32)]
    mask_padding: Option<u32>,
    /// Denoising steps; with a picture, `strength` of them run. If none, what the model names, else
    /// 30, for a random job 50
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    steps: Option<u32>,
    /// How closely to follow the prompt; 1 or less turns guidance off. If none, what the model names,
    /// else 7.5
    #[serde(default)]
    #[schema(example = 7.5)]
    guidance: Option<f64>,
    /// euler, euler-karras, euler-a, ddim, dpmpp-2m, dpmpp-2m-karras, dpmpp-2m-exponential,
    /// dpmpp-2m-sde, dpmpp-2m-sde-karras, dpmpp-2m-sde-exponential, pndm, lms, lms-karras, heun,
    /// heun-karras, unipc or lcm; the model's own if none, for a random job euler
    #[serde(default)]
    #[schema(example = "dpmpp-2m-karras")]
    scheduler: Option<String>,
    /// In pixels; the model's own, or the picture's shape at the model's own area, if none
    #[serde(default)]
    #[schema(minimum = 8, maximum = 8192)]
    width: Option<u32>,
    /// In pixels, likewise
    #[serde(default)]
    #[schema(minimum = 8, maximum = 8192)]
    height: Option<u32>,
    /// Of the first image; those that follow have the following ones. Random if none
    #[serde(default)]
    #[schema(minimum = 0)]
    seed: Option<u64>,
    /// Seed of other noise that is mixed in, for variations of an image; goes with
    /// `variation_strength`. Images that follow have the following seeds
    #[serde(default)]
    #[schema(minimum = 0)]
    variation_seed: Option<u64>,
    /// The part of the other noise: 0 is the image of `seed`, 1 the one of `variation_seed`
    #[serde(default)]
    #[schema(minimum = 0.0, maximum = 1.0, example = 0.1)]
    variation_strength: Option<f64>,
    /// How prompts are read
    #[serde(default)]
    #[schema(default = "plain")]
    syntax: Option<JobSyntax>,
    /// Which layer of the text encoder conditions, counted from its last, 1; the model's own if none
    #[serde(default)]
    #[schema(minimum = 1, example = 2)]
    clip_skip: Option<u32>,
    /// Images of each prompt, model and picture
    #[serde(default)]
    #[schema(default = 1, minimum = 1, maximum = 1000)]
    count: Option<u32>,
    /// Its place among one's own jobs
    #[serde(default)]
    priority: Option<JobPriority>,
}

/// Which fields were given in the singular, so that errors can call them so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Singular {
    model: bool,
    init_image: bool,
}

impl From<&NewJob> for Singular {
    fn from(new: &NewJob) -> Self {
        Self { model: new.model.is_some(), init_image: new.init_image.is_some() }
    }
}

impl Singular {
    /// The error, with its field as the client called it.
    pub(super) fn rename(self, error: Error) -> Error {
        match error {
            Error::Field { field, message } if self.model && field == "models[0]" => {
                Error::field("model", message)
            }
            Error::Field { field, message } if self.init_image && field == "images[0]" => {
                Error::field("init_image", message)
            }
            error => error,
        }
    }
}

impl TryFrom<NewJob> for Request {
    type Error = Error;

    fn try_from(mut new: NewJob) -> Result<Self, Error> {
        let mask = mask(&mut new)?;
        let one_of = |one: Option<String>, many: Option<Vec<String>>, name: &str| match (one, many)
        {
            (Some(_), Some(_)) => {
                Err(Error::field(name, format!("give either {name} or {name}s, not both")))
            }
            (Some(one), None) => Ok(vec![one]),
            (None, many) => Ok(many.unwrap_or_default()),
        };
        let inputs = match (new.init_image, new.images) {
            (Some(_), Some(_)) => {
                return Err(Error::field(
                    "init_image",
                    "give either init_image or images, not both",
                ));
            }
            (Some(one), None) => vec![input("init_image", one)?],
            (None, many) => {
                let named = many.unwrap_or_default().into_iter().enumerate();
                named
                    .map(|(i, text)| input(&format!("images[{i}]"), text))
                    .collect::<Result<_, _>>()?
            }
        };
        let variation = match (new.variation_seed, new.variation_strength) {
            (Some(seed), Some(strength)) => Some((seed, strength)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Error::field("variation_seed", "goes with a variation_strength"));
            }
            (None, Some(_)) => {
                return Err(Error::field("variation_strength", "goes with a variation_seed"));
            }
        };
        let prompts = one_of(new.prompt, new.prompts, "prompt")?;
        Ok(Self {
            negative_prompt: new.negative_prompt.unwrap_or_default(),
            models: one_of(new.model, new.models, "model")?,
            inputs,
            strength: new.strength,
            steps: new.steps,
            guidance: new.guidance,
            scheduler: new.scheduler,
            width: new.width,
            height: new.height,
            seed: new.seed,
            count: new.count.unwrap_or(1),
            priority: match new.priority.unwrap_or_default() {
                JobPriority::High => Priority::High,
                JobPriority::Normal => Priority::Normal,
                JobPriority::Low => Priority::Low,
            },
            mask,
            resize: new.resize.unwrap_or_default().into(),
            syntax: new.syntax.unwrap_or_default().into(),
            clip_skip: new.clip_skip,
            variation,
            ..Self::new(new.kind.into(), prompts)
        })
    }
}

/// The part that is repainted.
fn mask(new: &mut NewJob) -> Result<Option<Mask>, Error> {
    let Some(picture) = new.mask.take() else {
        let given = [
            ("mask_blur", new.mask_blur.is_some()),
            ("mask_invert", new.mask_invert.is_some()),
            ("mask_fill", new.mask_fill.is_some()),
            ("mask_padding", new.mask_padding.is_some()),
        ];
        return match given.into_iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(Error::field(field, "goes with a mask, and there is none")),
            None => Ok(None),
        };
    };
    let inpaint = Inpaint {
        invert: new.mask_invert.unwrap_or_default(),
        blur: new.mask_blur.unwrap_or(BLUR),
        fill: new.mask_fill.unwrap_or_default().into(),
        only_masked: new.mask_padding,
    };
    Ok(Some(Mask { picture: input("mask", picture)?, inpaint }))
}

/// No name in the data set is longer; an encoded picture is.
const LONGEST_NAME: usize = 512;

/// A picture: a data URL, base64, or the name of one.
fn input(field: &str, text: String) -> Result<Input, Error> {
    let encoded = match text.strip_prefix("data:") {
        Some(url) => {
            let (_, encoded) = url.split_once(";base64,").ok_or_else(|| {
                Error::field(field, "the data URL is not in base64: data:image/png;base64,…")
            })?;
            encoded
        }
        None if text.len() > LONGEST_NAME => &*text,
        None => return Ok(Input::Named(text)),
    };
    let bytes = BASE64_STANDARD.decode(encoded.trim());
    let bytes = bytes.map_err(|error| Error::field(field, format!("not base64: {error}")))?;
    Ok(Input::Data(bytes.into()))
}

#[cfg(test)]
mod tests {
    use diffusion_jobs::request::{Fill, Resize, Syntax};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Request, Error> {
        serde_json::from_value::<NewJob>(value).unwrap().try_into()
    }

    #[test]
    fn one_or_several() {
        let request = read(json!({"kind": "txt2img", "prompt": "a"})).unwrap();
        assert_eq!((request.prompts, request.count), (vec!["a".to_owned()], 1));
        let request =
            read(json!({"kind": "random", "prompts": ["a", "b"], "models": ["m"]})).unwrap();
        assert_eq!((request.prompts.len(), request.models.len()), (2, 1));
        for (both, field) in [
            (json!({"kind": "random", "prompt": "a", "prompts": ["b"]}), "prompt"),
            (json!({"kind": "random", "prompt": "a", "model": "m", "models": []}), "model"),
            (
                json!({"kind": "random", "prompt": "a", "init_image": "m", "images": []}),
                "init_image",
            ),
        ] {
            let error = read(both).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }

    #[test]
    fn what_goes_together_comes_together() {
        let repaint = json!({
            "kind": "img2img", "prompt": "a", "init_image": "a.png", "resize": "crop",
            "mask": "m.png", "mask_blur": 1.5, "mask_invert": true, "mask_fill": "latent-noise",
            "mask_padding": 32, "syntax": "a1111", "clip_skip": 2, "variation_seed": 9,
            "variation_strength": 0.25
        });
        let request = read(repaint).unwrap();
        let inpaint =
            Inpaint { invert: true, blur: 1.5, fill: Fill::LatentNoise, only_masked: Some(32) };
        assert_eq!(request.mask, Some(Mask { picture: Input::Named("m.png".into()), inpaint }));
        assert_eq!((request.resize, request.syntax), (Resize::Crop, Syntax::A1111));
        assert_eq!((request.clip_skip, request.variation), (Some(2), Some((9, 0.25))));
        let plain =
            json!({"kind": "img2img", "prompt": "a", "init_image": "a.png", "mask": "m.png"});
        let plain = read(plain).unwrap();
        assert_eq!(plain.mask.unwrap().inpaint, Inpaint { blur: BLUR, ..Inpaint::default() });
        assert_eq!((plain.resize, plain.syntax), (Resize::Stretch, Syntax::Plain));
        for (field, value) in [
            ("mask_blur", json!(0.0)),
            ("mask_invert", json!(false)),
            ("mask_fill", json!("original")),
            ("mask_padding", json!(0)),
            ("variation_seed", json!(1)),
            ("variation_strength", json!(0.5)),
        ] {
            let error = read(json!({"kind": "txt2img", "prompt": "a", field: value})).unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
        }
    }

    #[test]
    fn pictures_by_name_and_as_bytes() {
        let read = |text: String| input("init_image", text);
        assert_eq!(read("cat.png".into()).unwrap(), Input::Named("cat.png".into()));
        let bytes = vec![7; 1000];
        let encoded = BASE64_STANDARD.encode(&bytes);
        assert_eq!(read(encoded.clone()).unwrap(), Input::Data(bytes.into()));
        let short = read("data:image/png;base64,AAAA".into()).unwrap();
        assert_eq!(short, Input::Data(vec![0; 3].into()));
        for wrong in ["data:image/png,AAAA", "data:image/png;base64,!"] {
            assert!(read(wrong.into()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,600}") {
            let _ = input("images[0]", text);
        }
    }
}
