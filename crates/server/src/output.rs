//! What is told in words: lines for the terminal, and what a PNG says of how it was made.

use std::io::Write;

use diffusion_engine::images::{RgbImage, encode_png};
use diffusion_engine::{Plan, Precision, SchedulerKind};

/// A text for the terminal as one line: control characters, which file names may contain, escaped.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Prints what may be long. A reader that has seen enough, such as `head`, is no failure.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A PNG that tells how it was made: the `parameters` text that tools of the field read, and the
/// plan itself.
///
/// # Errors
/// The image cannot be encoded.
pub(crate) fn png(
    image: &RgbImage,
    model: &str,
    precision: Precision,
    plan: &Plan,
) -> anyhow::Result<Vec<u8>> {
    let record = serde_json::json!({
        "model": model,
        "precision": precision.to_string(),
        "plan": plan,
    })
    .to_string();
    let parameters = parameters(model, precision, plan);
    let text = [("parameters", &*parameters), ("diffusion-server", &*record)];
    Ok(encode_png(image, &text)?)
}

/// A PNG that says nothing of itself.
///
/// # Errors
/// The image cannot be encoded.
pub(crate) fn plain_png(image: &RgbImage) -> anyhow::Result<Vec<u8>> {
    Ok(encode_png(image, &[])?)
}

/// The text that AUTOMATIC1111's web UI writes and its readers parse.
fn parameters(model: &str, precision: Precision, plan: &Plan) -> String {
    let mut text = plan.prompt.clone();
    if !plan.negative_prompt.is_empty() {
        text += &format!("\nNegative prompt: {}", plan.negative_prompt);
    }
    let (sampler, schedule) = plan.scheduler.map_or(("Model default", None), sampler_name);
    text += &format!("\nSteps: {}, Sampler: {sampler}", plan.steps);
    if let Some(schedule) = schedule {
        text += &format!(", Schedule type: {schedule}");
    }
    text += &format!(
        ", CFG scale: {}, Seed: {}, Size: {}x{}, Model: {model}",
        plan.guidance, plan.seed, plan.width, plan.height
    );
    if let Some(strength) = plan.strength {
        text += &format!(", Denoising strength: {strength}");
    }
    if precision != Precision::F32 {
        text += &format!(", Precision: {precision}");
    }
    text + concat!(", Version: diffusion-server ", env!("CARGO_PKG_VERSION"))
}

/// The names under which the field's user interfaces know our schedulers.
fn sampler_name(kind: SchedulerKind) -> (&'static str, Option<&'static str>) {
    match kind {
        SchedulerKind::Euler => ("Euler", None),
        SchedulerKind::EulerAncestral => ("Euler a", None),
        SchedulerKind::Ddim => ("DDIM", None),
        SchedulerKind::DpmPp2m => ("DPM++ 2M", None),
        SchedulerKind::DpmPp2mKarras => ("DPM++ 2M", Some("Karras")),
        SchedulerKind::DpmPp2mSde => ("DPM++ 2M SDE", None),
        SchedulerKind::Pndm => ("PLMS", None),
        SchedulerKind::Lms => ("LMS", None),
        SchedulerKind::Heun => ("Heun", None),
        SchedulerKind::UniPc => ("UniPC", None),
        SchedulerKind::Lcm => ("LCM", None),
    }
}

#[cfg(test)]
mod tests {
    use diffusion_engine::TextOptions;

    use super::*;

    #[test]
    fn parameters_read_as_the_field_writes_them() {
        let plan = Plan {
            prompt: "a cat".into(),
            negative_prompt: "rain".into(),
            width: 128,
            height: 96,
            steps: 20,
            guidance: 7.0,
            scheduler: Some(SchedulerKind::DpmPp2mKarras),
            seed: 1,
            strength: Some(0.8),
            text: TextOptions::default(),
            variation: None,
            inpaint: None,
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            parameters("pocket", Precision::F32, &plan),
            format!(
                "a cat\nNegative prompt: rain\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, \
                 CFG scale: 7, Seed: 1, Size: 128x96, Model: pocket, Denoising strength: 0.8, \
                 Version: diffusion-server {version}"
            )
        );
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(one_line("ü \"a\"\n\u{1b}[2J\u{9b}"), "ü \"a\"\\n\\u{1b}[2J\\u{9b}");
    }
}
