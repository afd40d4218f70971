//! Reading `scheduler_config.json`.

use serde_json::{Map, Value};

use crate::config::Reader;

/// A folder's `scheduler_config.json` as found; [`build`](super::build) decides what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig(Reader);

impl SchedulerConfig {
    /// A configuration, of which nothing is checked yet.
    pub fn new(file: Reader) -> Self {
        Self(file)
    }

    /// The pairs that a diffusers pipeline hands to the folder's own class: the
    /// [Stable Diffusion pipelines](https://github.com/huggingface/diffusers/blob/v0.42.1/src/diffusers/pipelines/stable_diffusion/pipeline_stable_diffusion.py)
    /// force `steps_offset` to 1 and `clip_sample` off, over the file and the class's defaults.
    pub(super) fn own_params(&self) -> Reader {
        let mut params = Reader::new(self.0.path(), self.loaded());
        params.set("steps_offset", 1);
        params.set("clip_sample", false);
        params
    }

    /// The pairs that `X.from_config(pipe.scheduler.config)` hands to another class `X`.
    ///
    /// What the pipeline forced is taken over only for keys that the file has: for the others the
    /// folder's class used its default, `from_config` drops such keys (`_use_default_values`), and
    /// so `X` uses its own default.
    pub(super) fn foreign_params(&self) -> Reader {
        let mut values = self.loaded();
        if let Some(offset) = values.get_mut("steps_offset") {
            *offset = 1.into();
        }
        if let Some(clip) = values.get_mut("clip_sample").filter(|clip| **clip == true) {
            *clip = false.into();
        }
        let class = self.0.value("_class_name").and_then(Value::as_str);
        if let Some(solver) = values.get_mut("solver_type")
            && let Some(registered) = registered_solver_type(class, solver.as_str())
        {
            *solver = registered.into();
        }
        Reader::new(self.0.path(), values)
    }

    /// The file's pairs without those that it lists as defaults of the class it was saved from.
    fn loaded(&self) -> Map<String, Value> {
        let mut values = self.0.values().clone();
        if let Some(Value::Array(defaults)) = values.remove("_use_default_values") {
            for key in defaults.iter().filter_map(Value::as_str) {
                values.remove(key);
            }
        }
        values
    }
}

/// What a solver class writes into its configuration instead of another class's `solver_type`.
fn registered_solver_type(class: Option<&str>, found: Option<&str>) -> Option<&'static str> {
    match (class?, found?) {
        (
            "DPMSolverMultistepScheduler" | "DPMSolverSinglestepScheduler",
            "logrho" | "bh1" | "bh2",
        ) => Some("midpoint"),
        ("UniPCMultistepScheduler", "midpoint" | "heun" | "logrho") => Some("bh2"),
        ("DEISMultistepScheduler", "midpoint" | "heun" | "bh1" | "bh2") => Some("logrho"),
        _ => None,
    }
}
