//! Refusing what cannot run. Images of one job are much alike: what matters is looked at once.

use std::collections::HashSet;

use diffusion_engine::{Plan, PromptSyntax, Runtime, Variation};
use diffusion_jobs::Error;

use super::models::Found;
use super::{Result, refused};

/// What was looked at of a job.
pub(super) struct Checks<'a> {
    engine: &'a Runtime,
    seen: HashSet<String>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(engine: &'a Runtime) -> Self {
        Self { engine, seen: HashSet::new() }
    }

    /// Refuses what the model cannot do, and what does not fit into memory.
    ///
    /// # Errors
    /// [`Error::Field`] or [`Error::Invalid`], which say why.
    pub(super) fn check(&mut self, model: &Found, plan: &Plan) -> Result<()> {
        let plan = without_seeds(plan);
        if self.is_new(model, "plan", &plan)? {
            model.info.check(&plan).map_err(refused)?;
        }
        let Some(limit) = self.engine.options().memory_limit else { return Ok(()) };
        let plan = of_this_size(plan);
        if self.is_new(model, "memory", &plan)? {
            let needed = model.info.memory(self.engine, &plan, 1).map_err(refused)?.total();
            if needed > limit {
                return Err(refused(diffusion_engine::Error::Memory { needed, limit }));
            }
        }
        Ok(())
    }

    fn is_new(&mut self, model: &Found, what: &str, plan: &Plan) -> Result<bool> {
        let seen = serde_json::to_string(&(what, &model.name, &model.folder, plan));
        Ok(self.seen.insert(seen.map_err(|error| Error::Invalid(error.to_string()))?))
    }
}

/// The plan as far as a model may refuse it.
fn without_seeds(plan: &Plan) -> Plan {
    let variation = plan.variation.map(|variation| Variation { seed: 0, ..variation });
    Plan { seed: 0, variation, ..plan.clone() }
}

/// The plan as far as its memory follows it: before tokens are counted, the number of texts that a
/// prompt changes into does, and where punctuation means nothing that is one.
fn of_this_size(plan: Plan) -> Plan {
    match plan.text.syntax {
        PromptSyntax::A1111 => plan,
        PromptSyntax::Plain | PromptSyntax::Long => {
            Plan { prompt: String::new(), negative_prompt: String::new(), ..plan }
        }
    }
}

#[cfg(test)]
mod tests {
    use diffusion_engine::TextOptions;

    use super::*;

    fn plan(prompt: &str, syntax: PromptSyntax, seed: u64) -> Plan {
        Plan {
            prompt: prompt.into(),
            negative_prompt: "blurry".into(),
            width: 64,
            height: 64,
            steps: 4,
            guidance: 7.5,
            scheduler: None,
            seed,
            strength: None,
            text: TextOptions { syntax, clip_skip: None },
            variation: Some(Variation { seed, strength: 0.5 }),
            inpaint: None,
        }
    }

    #[test]
    fn images_that_differ_in_their_seeds_are_one() {
        let [a, b] = [1, 2].map(|seed| without_seeds(&plan("a cat", PromptSyntax::Plain, seed)));
        assert_eq!(a, b);
        let other = without_seeds(&plan("a dog", PromptSyntax::Plain, 1));
        assert_ne!(a, other);
        assert_eq!(of_this_size(a.clone()), of_this_size(other));
        let wide = Plan { width: 128, ..a.clone() };
        assert_ne!(of_this_size(a), of_this_size(wide));
    }

    #[test]
    fn memory_follows_prompts_that_change() {
        let [a, b] = ["a cat", "[a:b:0.5]"].map(|text| plan(text, PromptSyntax::A1111, 1));
        assert_ne!(of_this_size(a), of_this_size(b));
    }
}
