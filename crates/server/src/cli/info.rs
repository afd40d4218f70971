//! `diffusion-server info`: what images say of how they were made.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use diffusion_engine::images::{Limits, read_file};
use serde_json::{Value, json};

use crate::explain::explain;
use crate::infotext::{self, Info};
use crate::output::{one_line, print};

/// Show what images say of how they were made
#[derive(Debug, Args)]
#[command(
    name = "info",
    after_help = "\
Examples:
  diffusion-server info lighthouse.png
  diffusion-server info --json downloads/*.webp

Reads PNG, JPEG and WebP files of this program, AUTOMATIC1111's web UI, ComfyUI and InvokeAI. A file
that cannot be read costs only itself; the exit status is then 1."
)]
pub(super) struct InfoCommand {
    /// Images
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print a JSON array of objects
    #[arg(long)]
    json: bool,
}

impl InfoCommand {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let mut all_read = true;
        let mut shown = Vec::new();
        for path in &self.files {
            let name = path.display().to_string();
            match read(path) {
                Ok(info) if self.json => {
                    let mut value = serde_json::to_value(&info)?;
                    value["file"] = name.into();
                    shown.push(value);
                }
                Ok(info) => print(&text(&name, &info)?)?,
                Err(error) => {
                    all_read = false;
                    eprintln!("error: {}", one_line(&explain(&error)));
                    shown.push(json!({"file": name, "error": explain(&error)}));
                }
            }
        }
        if self.json {
            print(&(serde_json::to_string_pretty(&shown)? + "\n"))?;
        }
        Ok(if all_read { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn read(path: &Path) -> anyhow::Result<Info> {
    let bytes = read_file(path, &Limits::default())?;
    infotext::read(&bytes).with_context(|| path.display().to_string())
}

/// The file's name, and a line for each thing that it says.
fn text(name: &str, info: &Info) -> anyhow::Result<String> {
    let mut text = one_line(name) + "\n";
    let Value::Object(mut known) = serde_json::to_value(info)? else { return Ok(text) };
    if info.origin.is_none() {
        text += "  it does not say how it was made\n";
    }
    for (field, label) in FIELDS {
        let shown = match known.remove(field) {
            None | Some(Value::Null) => continue,
            Some(Value::String(value)) => value,
            Some(value) => value.to_string(),
        };
        // A prompt may have several lines.
        let lines: Vec<String> = shown.lines().map(one_line).collect();
        text += &format!("  {label:17}{}\n", lines.join("\n                   "));
    }
    Ok(text)
}

/// The fields that are shown, in order.
const FIELDS: [(&str, &str); 16] = [
    ("origin", "made by"),
    ("prompt", "prompt"),
    ("negative_prompt", "negative prompt"),
    ("model", "model"),
    ("model_hash", "model hash"),
    ("width", "width"),
    ("height", "height"),
    ("steps", "steps"),
    ("guidance", "guidance"),
    ("seed", "seed"),
    ("variation", "variation"),
    ("sampler", "sampler"),
    ("schedule", "schedule"),
    ("scheduler", "scheduler"),
    ("strength", "strength"),
    ("clip_skip", "clip skip"),
];
