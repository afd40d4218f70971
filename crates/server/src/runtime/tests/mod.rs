//! The threads with real models: the demo model and the engine's tiny ones, at small sizes.

mod bytes;
mod failures;
mod memory;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use diffusion_engine::images::{GrayImage, RgbImage};
use diffusion_engine::{
    Initial, MaskedStart, Model, Options, Plan, PromptSyntax, SchedulerKind, Source, TextOptions,
    generate,
};
use uuid::Uuid;

use super::schedule::Action;
use super::*;

/// Called before each action of the device.
pub(super) type Hook = Arc<dyn Fn(&Action) + Send + Sync>;

/// Writes down what the device says of itself.
#[derive(Debug, Default)]
struct Record(Mutex<HashMap<&'static str, Vec<u64>>>);

impl Record {
    fn note(&self, what: &'static str, value: u64) {
        self.0.lock().unwrap().entry(what).or_default().push(value);
    }

    fn all(&self, what: &str) -> Vec<u64> {
        self.0.lock().unwrap().get(what).cloned().unwrap_or_default()
    }

    fn most(&self, what: &str) -> u64 {
        self.all(what).into_iter().max().unwrap_or(0)
    }
}

impl Observer for Record {
    fn step(&self, _model: &str, batch: usize, _seconds: f64) {
        self.note("step", batch as u64);
    }
    fn loaded(&self, _model: &str, bytes: u64, _seconds: f64) {
        self.note("loaded", bytes);
    }
    fn evicted(&self, _model: &str) {
        self.note("evicted", 1);
    }
    fn load_failed(&self, _model: &str) {
        self.note("load_failed", 1);
    }
    fn memory(&self, used: u64, _limit: Option<u64>) {
        self.note("memory", used);
    }
    fn tasks(&self, in_flight: usize, _waiting: usize) {
        self.note("in_flight", in_flight as u64);
    }
}

/// A runtime for tests, and what it says.
struct Bench {
    runtime: Runtime,
    engine: diffusion_engine::Runtime,
    record: Arc<Record>,
}

/// What tests change of the settings.
struct With {
    options: Options,
    models_limit: Option<u64>,
    checkpoint_every: Duration,
    rows: Option<usize>,
    hook: Hook,
}

impl Default for With {
    fn default() -> Self {
        Self {
            options: Options::default(),
            models_limit: None,
            checkpoint_every: Duration::MAX,
            rows: None,
            hook: Arc::new(|_| {}),
        }
    }
}

impl With {
    fn start(self) -> Bench {
        let engine = diffusion_engine::Runtime::new(self.options).unwrap();
        let record = Arc::<Record>::default();
        let settings = Settings {
            engine: engine.clone(),
            max_batch: 16,
            models_limit: self.models_limit,
            checkpoint_every: self.checkpoint_every,
            preview_every: Duration::ZERO,
        };
        let breakpoints = Breakpoints { hook: Some(self.hook), rows: self.rows };
        let runtime = Runtime::start_with(settings, breakpoints, record.clone()).unwrap();
        Bench { runtime, engine, record }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pocket() -> ModelRef {
    let name = "pocket-paper-sd1";
    let folder = root().join("models/pocket/weights").join(name);
    ModelRef { name: name.into(), source: Source::Folder(folder) }
}

/// A model of random weights, `tiny-sd1` or `tiny-sd2`.
fn tiny(name: &str) -> ModelRef {
    let folder = root().join("crates/engine/tests/goldens").join(name);
    ModelRef { name: name.into(), source: Source::Folder(folder) }
}

fn id(index: u32) -> TaskId {
    TaskId { job: Uuid::from_u128(7), index }
}

fn plan(seed: u64) -> Plan {
    Plan {
        prompt: format!("a paper boat number {seed}"),
        negative_prompt: "grey".into(),
        width: 64,
        height: 64,
        steps: 4,
        guidance: 5.0,
        scheduler: None,
        seed,
        strength: None,
        text: TextOptions::default(),
        variation: None,
        inpaint: None,
    }
}

/// A task of its own owner.
fn task(index: u32, plan: Plan) -> Task {
    let initial = plan.strength.map(|_| initial(&plan));
    Task {
        id: id(index),
        model: pocket(),
        plan,
        initial,
        resume: None,
        owner: Some(Uuid::from_u128(u128::from(index))),
        priority: 1,
        age: u64::from(index),
        previews: false,
    }
}

fn initial(plan: &Plan) -> Initial {
    let (width, height) = (plan.width, plan.height);
    let image = RgbImage::from_fn(width, height, |x, y| {
        [(x * 3) as u8, (y * 2) as u8, (x * y) as u8].into()
    });
    let ring = |x: u32, y: u32| [255 * u8::from((x / 16 + y / 16) % 2 == 1)].into();
    Initial { image, mask: plan.inpaint.map(|_| GrayImage::from_fn(width, height, ring)) }
}

/// Sixteen plans that differ in everything in which samples may, and four of another size.
fn mixed() -> Vec<Plan> {
    use SchedulerKind::*;
    let kinds =
        [Euler, EulerAncestral, Ddim, DpmPp2m, DpmPp2mKarras, DpmPp2mSde, Pndm, Lms, Heun, UniPc];
    let mut plans: Vec<Plan> = (0..16)
        .map(|i| Plan {
            scheduler: Some(kinds[i % kinds.len()]),
            steps: 2 + i % 4,
            guidance: if i % 3 == 0 { 1.0 } else { i as f64 },
            strength: (i % 5 == 4).then_some(0.7),
            inpaint: (i % 10 == 4).then_some(MaskedStart::Noise),
            ..plan(i as u64)
        })
        .collect();
    plans[3].height = 96;
    plans[8].height = 96;
    plans[9].height = 96;
    plans[14].height = 96;
    plans
}

/// What the engine makes of a plan on the demo model, alone.
fn alone(plan: &Plan) -> RgbImage {
    static MODEL: OnceLock<Model> = OnceLock::new();
    let model = MODEL.get_or_init(|| {
        let engine = diffusion_engine::Runtime::new(Options::default()).unwrap();
        Model::open(&engine, &pocket().source).unwrap()
    });
    let initial = plan.strength.map(|_| initial(plan));
    generate(model, plan, initial.as_ref(), |_| ControlFlow::Continue(())).unwrap()
}

/// Every event of a task that is read in time, and its outcome.
async fn all(mut events: Events) -> (Vec<Event>, Outcome) {
    let mut seen = Vec::new();
    while let Some(event) = events.recv().await {
        if let Event::Finished(outcome) = event {
            assert!(events.recv().await.is_none(), "the outcome is the last event");
            return (seen, outcome);
        }
        seen.push(event);
    }
    panic!("a task ended without an outcome");
}

async fn outcome(events: Events) -> Outcome {
    all(events).await.1
}

async fn image(events: Events) -> RgbImage {
    match outcome(events).await {
        Outcome::Image { image, seconds } => {
            assert!(seconds > 0.0);
            image
        }
        other => panic!("no image but {other:?}"),
    }
}

/// A device that stops at each action of a kind until it is told to go on.
struct Gate {
    reached: tokio::sync::mpsc::UnboundedReceiver<Action>,
    go_on: std::sync::mpsc::Sender<()>,
}

/// A gate before the actions that `closed` names, and its hook.
fn gate(closed: impl Fn(&Action) -> bool + Send + Sync + 'static) -> (Gate, Hook) {
    let (reach, reached) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, goes_on) = std::sync::mpsc::channel();
    let goes_on = Mutex::new(goes_on);
    let hook = move |action: &Action| {
        if closed(action) && reach.send(action.clone()).is_ok() {
            // Without the gate, all goes its way.
            let _ = goes_on.lock().unwrap().recv();
        }
    };
    (Gate { reached, go_on }, Arc::new(hook))
}

impl Gate {
    /// Waits until the device is there.
    async fn reached(&mut self) -> Action {
        self.reached.recv().await.unwrap()
    }

    fn go_on(&self) {
        self.go_on.send(()).unwrap();
    }
}
