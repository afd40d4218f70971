//! Reading `scheduler_config.json`.

use serde_json::{Map, Value};

use super::kind::{Class, SchedulerKind};
use super::lambdas::read_order;
use super::sigmas::SigmaSpacing;
use crate::config::Reader;

/// A folder's `scheduler_config.json` as found; [`build`](super::build) decides what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig(Reader);

/// The method of a model's own scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnScheduler {
    /// The kind of the same method.
    pub kind: SchedulerKind,
    /// How it spreads its noise levels, which may be otherwise than the kind does.
    pub spacing: SigmaSpacing,
}

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

    /// The method of what [`build`](super::build) makes where no kind is asked for; `None` where
    /// no kind has it, or it cannot be built.
    pub fn own(&self) -> Option<OwnScheduler> {
        use SchedulerKind as K;
        let params = self.own_params();
        let class = params.required_choice("_class_name", &Class::NAMED).ok()?;
        let has_spacing = matches!(
            class,
            Class::Euler | Class::DpmMultistep | Class::Lms | Class::Heun | Class::UniPc
        );
        let spacing = match has_spacing {
            true => SigmaSpacing::read(&params, class == Class::DpmMultistep).ok()?,
            false => SigmaSpacing::Training,
        };
        let mut is_ancestral = class == Class::EulerAncestral;
        if class == Class::DpmMultistep {
            if read_order(&params).ok()? != 2 {
                return None;
            }
            let known = [("dpmsolver++", false), ("deis", false), ("sde-dpmsolver++", true)];
            is_ancestral = params.choice("algorithm_type", false, &known).ok()?;
        }
        let is_alike = |kind: &K| kind.class() == class && kind.is_ancestral() == is_ancestral;
        let is_spaced = |kind: &K| kind.spacing().unwrap_or(SigmaSpacing::Training) == spacing;
        if spacing == SigmaSpacing::Lu {
            return None;
        }
        let alike = || K::ALL.into_iter().filter(is_alike);
        let kind = alike().find(is_spaced).or_else(|| alike().next())?;
        Some(OwnScheduler { kind, spacing })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_method_is_known() {
        use SchedulerKind as K;
        use SigmaSpacing::{Exponential, Karras, Training};
        let own = |text: &str| {
            let file = Reader::parse("scheduler_config.json", text.as_bytes()).unwrap();
            SchedulerConfig::new(file).own().map(|own| (own.kind, own.spacing))
        };
        let dpm =
            |more: &str| own(&format!(r#"{{"_class_name": "DPMSolverMultistepScheduler"{more}}}"#));
        assert_eq!(dpm(""), Some((K::DpmPp2m, Training)));
        assert_eq!(dpm(r#", "use_karras_sigmas": true"#), Some((K::DpmPp2mKarras, Karras)));
        let sde = r#", "algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": true"#;
        assert_eq!(dpm(sde), Some((K::DpmPp2mSdeKarras, Karras)));
        let exponential = r#", "use_exponential_sigmas": true"#;
        assert_eq!(dpm(exponential), Some((K::DpmPp2mExponential, Exponential)));
        assert_eq!(dpm(r#", "use_lu_lambdas": true"#), None);
        assert_eq!(dpm(r#", "algorithm_type": "dpmsolver""#), None);
        assert_eq!(dpm(r#", "solver_order": 3"#), None);
        let named = |class: &str| {
            own(&format!(r#"{{"_class_name": "{class}", "use_karras_sigmas": true}}"#))
        };
        assert_eq!(named("EulerDiscreteScheduler"), Some((K::EulerKarras, Karras)));
        assert_eq!(named("UniPCMultistepScheduler"), Some((K::UniPc, Karras)));
        assert_eq!(named("PNDMScheduler"), Some((K::Pndm, Training)));
        let exponential =
            r#"{"_class_name": "HeunDiscreteScheduler", "use_exponential_sigmas": true}"#;
        assert_eq!(own(exponential), Some((K::Heun, Exponential)));
        assert_eq!(named("DEISMultistepScheduler"), None);
        assert_eq!(own("{}"), None);
    }
}
