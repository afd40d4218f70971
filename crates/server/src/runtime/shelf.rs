//! The models themselves: what they are called, those in memory, and what they need.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use diffusion_engine::{MemoryPlan, Model, Plan, TextOptions};

use super::palette::Palette;
use super::schedule::{Group, ModelId, Sizes};
use super::task::ModelRef;

/// All models that were ever asked for.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    known: Vec<Known>,
    ids: HashMap<(String, PathBuf), ModelId>,
    /// Memory plans of so many samples of a group. Plans are the same each time, so they outlive
    /// the model's stay in memory.
    plans: RefCell<HashMap<(Group, usize), MemoryPlan>>,
}

/// One model.
#[derive(Debug)]
struct Known {
    model: ModelRef,
    loaded: Option<Arc<Model>>,
    palette: Colors,
}

/// How far the colours of a model's previews are.
#[derive(Debug, Clone)]
pub(super) enum Colors {
    Unknown,
    /// Being found out, or there are none.
    Missing,
    Known(Arc<Palette>),
}

impl Shelf {
    /// The short name of a model.
    pub(super) fn id(&mut self, model: &ModelRef) -> ModelId {
        let key = (model.name.clone(), model.source.path(""));
        *self.ids.entry(key).or_insert_with(|| {
            let known = Known { model: model.clone(), loaded: None, palette: Colors::Unknown };
            self.known.push(known);
            ModelId(self.known.len() as u32 - 1)
        })
    }

    fn known(&self, id: ModelId) -> &Known {
        &self.known[id.0 as usize]
    }

    pub(super) fn reference(&self, id: ModelId) -> &ModelRef {
        &self.known(id).model
    }

    pub(super) fn name(&self, id: ModelId) -> &str {
        &self.reference(id).name
    }

    pub(super) fn loaded(&self, id: ModelId) -> Option<Arc<Model>> {
        self.known(id).loaded.clone()
    }

    /// Puts a model in memory, or drops it. Colours stay known.
    pub(super) fn put(&mut self, id: ModelId, model: Option<Arc<Model>>) {
        self.known[id.0 as usize].loaded = model;
    }

    pub(super) fn colors(&self, id: ModelId) -> Colors {
        self.known(id).palette.clone()
    }

    pub(super) fn set_colors(&mut self, id: ModelId, colors: Colors) {
        self.known[id.0 as usize].palette = colors;
    }

    /// What `samples` samples of a group take at the most: with guidance, from image to image.
    /// `None` where the model never was in memory.
    fn plan(&self, group: Group, samples: usize) -> Option<MemoryPlan> {
        if let Some(plan) = self.plans.borrow().get(&(group, samples)) {
            return Some(*plan);
        }
        let plan = Plan {
            prompt: String::new(),
            negative_prompt: String::new(),
            width: group.width,
            height: group.height,
            steps: 1,
            guidance: 7.5,
            scheduler: None,
            seed: 0,
            strength: Some(1.0),
            text: TextOptions::default(),
            variation: None,
            inpaint: None,
        };
        let planned = self.known(group.model).loaded.as_ref()?.memory(&plan, samples);
        self.plans.borrow_mut().insert((group, samples), planned);
        Some(planned)
    }
}

impl Sizes for Shelf {
    fn held(&self, group: Group) -> u64 {
        // The decoder works on one image whatever the batch: what two need more is what one keeps.
        let finish = |samples| self.plan(group, samples).map_or(0, |plan| plan.finish);
        finish(2).saturating_sub(finish(1))
    }

    fn solo(&self, group: Group) -> u64 {
        let Some(plan) = self.plan(group, 1) else { return 0 };
        plan.begin.max(plan.finish).saturating_sub(self.held(group))
    }

    fn step(&self, group: Group, samples: usize) -> u64 {
        let Some(plan) = self.plan(group, samples) else { return 0 };
        plan.step.saturating_sub(self.held(group) * samples as u64)
    }

    fn threads(&self) -> u64 {
        let plans = self.plans.borrow();
        plans.values().map(|plan| plan.threads).max().unwrap_or(0)
    }
}
