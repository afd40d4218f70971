//! The models themselves: what they are called, those in memory, and what they need.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use diffusion_engine::{MemoryPlan, Model, Plan, TextOptions, TextSize};

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
    plans: RefCell<HashMap<(Group, usize, TextSize), MemoryPlan>>,
    /// How long the prompts of a group's tasks are at the most, where any is longer than usual.
    texts: HashMap<Group, TextSize>,
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

    /// A task of a group has prompts of this size.
    pub(super) fn lengthen(&mut self, group: Group, size: TextSize) {
        let texts = self.texts.entry(group).or_default();
        *texts = texts.max(size);
    }

    /// A group has no task any more.
    pub(super) fn shorten(&mut self, group: Group) {
        self.texts.remove(&group);
    }

    /// What `samples` samples of a group take at the most: with guidance, from image to image.
    /// `None` where the model never was in memory.
    fn plan(&self, group: Group, samples: usize) -> Option<MemoryPlan> {
        let texts = self.texts.get(&group).copied().unwrap_or_default();
        let key = (group, samples, texts);
        if let Some(plan) = self.plans.borrow().get(&key) {
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
        let model = self.known(group.model).loaded.as_ref()?;
        let planned = model.memory_with(&plan, samples, texts);
        self.plans.borrow_mut().insert(key, planned);
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
