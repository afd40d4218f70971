//! `generation_config.json`: what is asked of a model where nobody says otherwise.

use super::Reader;
use crate::Result;
use crate::source::Source;

const FILE: &str = "generation_config.json";

/// The model's own defaults: of a distilled one, say, four steps and no guidance.
///
/// The file is optional. It is named as transformers names the settings that a model generates with;
/// its keys are arguments of diffusers' pipelines, which do not read it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GenerationConfig {
    /// Denoising steps: `num_inference_steps`, from 1 to 1000.
    pub steps: Option<u32>,
    /// How closely to follow the prompt: `guidance_scale`, from 0 to 1000.
    pub guidance: Option<f64>,
}

impl GenerationConfig {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// It is broken, or a value is out of range.
    pub fn read(source: &Source) -> Result<Self> {
        let Some(bytes) = source.read(FILE)? else { return Ok(Self::default()) };
        let file = Reader::parse(source.path(FILE), &bytes)?;
        let steps = match file.value("num_inference_steps") {
            Some(_) => Some(file.count("num_inference_steps", 0, 1..=1000)? as u32),
            None => None,
        };
        let guidance = file.optional_number("guidance_scale")?;
        if let Some(guidance) = guidance.filter(|guidance| !(0.0..=1000.0).contains(guidance)) {
            return Err(file.malformed(format!("guidance_scale = {guidance} should be 0 to 1000")));
        }
        Ok(Self { steps, guidance })
    }
}
