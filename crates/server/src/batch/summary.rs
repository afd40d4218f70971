//! `summary.json`: what a run did.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::Settings;
use super::memory::peak_memory_mb;

/// A run as a whole.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) total_seconds: f64,
    /// Over the images that were made; null where there are none.
    pub(super) seconds_per_image: Option<f64>,
    pub(super) peak_memory_mb: Option<f64>,
    pub(super) seed: u32,
    pub(super) strength: f64,
    /// As asked for, as the next; null where each image has what its model names or what is usual.
    pub(super) steps: Option<usize>,
    pub(super) guidance: Option<f64>,
    pub(super) scheduler: String,
    /// Pictures that were given, those included to which an interrupted run did not come.
    pub(super) inputs: usize,
    pub(super) images: Vec<Entry>,
}

/// One picture and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) input: String,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    pub(super) model: String,
    pub(super) prompt: String,
    pub(super) seed: u32,
    pub(super) seconds: f64,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Done {
        /// Path of the new image.
        output: String,
        /// Its name within the output folder.
        #[serde(skip)]
        file: String,
        /// Width and height in pixels.
        size: (u32, u32),
        steps: usize,
        guidance: f64,
    },
    Failed {
        error: String,
    },
}

impl Summary {
    pub(super) fn new(
        images: Vec<Entry>,
        inputs: usize,
        total: Duration,
        settings: &Settings,
    ) -> Self {
        let made = images.iter().filter(|entry| entry.is_done());
        let (count, seconds) = made.fold((0, 0.0), |(n, sum), entry| (n + 1, sum + entry.seconds));
        Self {
            total_seconds: total.as_secs_f64(),
            seconds_per_image: (count > 0).then(|| seconds / f64::from(count)),
            peak_memory_mb: peak_memory_mb(),
            seed: settings.seed,
            strength: settings.strength,
            steps: settings.steps,
            guidance: settings.guidance,
            scheduler: settings.scheduler.to_string(),
            inputs,
            images,
        }
    }

    pub(super) fn succeeded(&self) -> usize {
        self.images.iter().filter(|entry| entry.is_done()).count()
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|json| json + "\n")
    }

    /// One line for the terminal.
    pub(super) fn line(&self, out: &Path) -> String {
        let mut line = format!(
            "{} of {} images in {:.1} s",
            self.succeeded(),
            self.inputs,
            self.total_seconds
        );
        if let Some(seconds) = self.seconds_per_image {
            line += &format!(", {seconds:.2} s each");
        }
        if let Some(memory) = self.peak_memory_mb {
            line += &format!(", {memory:.0} MB at the peak");
        }
        line + &format!(" (seed {}): {}", self.seed, out.join("index.html").display())
    }
}

impl Entry {
    pub(super) fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. })
    }
}
