//! `cargo xtask bench`: how long the networks take at the sizes of Stable Diffusion 1.5.
//!
//! On a shared machine seconds drift from one minute to the next. Peers therefore run in turn with
//! the engine, and it is the ratios that mean something.

mod engine;
mod peer;

use clap::Args;
use diffusion_engine::Precision;
use engine::Engine;
use peer::PEERS;

use crate::full_size::{self, Family};

/// Time UNet, VAE and text encoder at Stable Diffusion 1.5's sizes: batch 2 at 64×64, and 512×512
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// How often each is run; the medians are printed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Run the peers of bench/peers too, in turn with the engine, and print the ratios
    #[arg(long)]
    peers: bool,

    /// Run the engine in 8-bit integers too, in turn with `f32`
    #[arg(long)]
    int8: bool,
}

/// What the engine in 8-bit integers is called.
const INT8: &str = "int8";

/// One figure of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// One UNet evaluation of two rows: a step with guidance.
    UNet,
    /// The decoding of one image.
    Vae,
    /// One prompt.
    Text,
}

/// One measurement of one program, in seconds.
#[derive(Debug)]
struct Timing {
    who: &'static str,
    task: Task,
    seconds: f64,
}

impl Bench {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let folder = full_size::at_hand(Family::Sd1)?;
        let engine = Engine::open(&folder, Precision::F32)?;
        let int8 = self.int8.then(|| Engine::open(&folder, Precision::Int8)).transpose()?;
        if let Some(int8) = &int8 {
            // The first run quantises.
            int8.measure()?;
        }
        let peers = if self.peers { PEERS } else { &[] };
        for peer in peers {
            peer.build()?;
        }
        let mut timings = Vec::new();
        for _ in 0..self.runs {
            timings.extend(record("engine", engine.measure()?));
            if let Some(int8) = &int8 {
                timings.extend(record(INT8, int8.measure()?));
            }
            for peer in peers {
                timings.extend(record(peer.name, peer.measure(&folder)?));
            }
        }
        let own = int8.iter().map(|_| INT8);
        report(&timings, own.chain(peers.iter().map(|peer| peer.name)));
        Ok(())
    }
}

/// Keeps figures, and shows them as they come.
fn record(
    who: &'static str,
    figures: impl IntoIterator<Item = (Task, f64)>,
) -> impl Iterator<Item = Timing> {
    figures.into_iter().map(move |(task, seconds)| {
        eprintln!("{who}: {} {seconds:.2} s", task.name());
        Timing { who, task, seconds }
    })
}

fn report(timings: &[Timing], peers: impl Iterator<Item = &'static str> + Clone) {
    let median = |who: &str, task: Task| {
        median(timings.iter().filter(|t| t.who == who && t.task == task).map(|t| t.seconds))
    };
    for task in [Task::UNet, Task::Vae, Task::Text] {
        let Some(own) = median("engine", task) else { continue };
        print!("{:<28} engine {own:8.2} s", task.name());
        for peer in peers.clone() {
            if let Some(other) = median(peer, task) {
                print!("   {peer} {other:8.2} s ({:.2}×)", other / own);
            }
        }
        println!();
    }
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::UNet => "UNet, one guided step",
            Self::Vae => "VAE, decoding 512×512",
            Self::Text => "text encoder, one prompt",
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
    }
}
