//! `cargo xtask bench`: how long the networks take at the sizes of Stable Diffusion 1.5.
//!
//! On a shared machine seconds drift from one minute to the next. Peers therefore run in turn with
//! the engine, and it is the ratios of neighbours that mean something. Each measurement is a
//! process of its own, so that its peak of memory is its own too.

mod difference;
mod engine;
mod inputs;
mod machine;
mod program;
mod python;
mod report;
mod table;
mod task;

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
pub(crate) use engine::BenchEngine;
use inputs::Inputs;
use machine::Machine;
use program::{Program, Visit};
use report::{Measurement, Report};
use task::Task;

use crate::full_size::{self, Family};
use crate::workspace;

/// Time the networks at Stable Diffusion 1.5's sizes, alone or beside other engines
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// How often each is run; the medians are printed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// What to run
    #[arg(long, value_delimiter = ',', default_value = "unet,decode,encode,text,image")]
    tasks: Vec<Task>,

    /// Run peers too, each in turn with the engine [default: all of them]
    #[arg(long, value_delimiter = ',', num_args = 0..=1,
        default_missing_value = "pytorch,openvino,candle")]
    peers: Vec<Program>,

    /// Threads of every program [default: as many as there are processors]
    #[arg(long)]
    threads: Option<NonZeroUsize>,

    /// Runs before the one that counts, in every process
    #[arg(long, default_value_t = 1)]
    warm_ups: u32,

    /// Write every figure to this file as well, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let model = full_size::at_hand(Family::Sd1)?;
        let folder = workspace::path("target/bench");
        let inputs = folder.join("inputs");
        Inputs::write(&model, &inputs)?;
        for peer in &self.peers {
            peer.prepare(&model, &self.tasks)?;
        }
        let visit =
            Visit { model, inputs, folder, threads: self.threads()?, warm_ups: self.warm_ups };
        let machine = Machine::look();
        eprintln!("{machine}; {} threads", visit.threads);

        let mut measurements = Vec::new();
        for &task in &self.tasks {
            for _ in 0..self.runs {
                measurements.extend(self.round(&visit, task)?);
            }
        }
        let report = Report::new(machine, visit.threads, measurements);
        print!("{}", table::of(&report));
        if let Some(path) = &self.json {
            fs::write(path, serde_json::to_vec_pretty(&report)?)
                .with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// The engine and each peer, in pairs: engine, peer, engine, peer, …
    fn round(&self, visit: &Visit, task: Task) -> anyhow::Result<Vec<Measurement>> {
        let mut done = Vec::new();
        for pair in 0..self.peers.len().max(1) {
            let engine = visit.measure(Program::Engine, task)?;
            eprintln!("{engine}");
            let peer = self.peers.get(pair).map(|&peer| visit.measure(peer, task)).transpose()?;
            let peer = peer.map(|peer| peer.paired(&engine)).inspect(|peer| eprintln!("{peer}"));
            done.push(engine);
            done.extend(peer);
        }
        Ok(done)
    }

    fn threads(&self) -> anyhow::Result<usize> {
        Ok(match self.threads {
            Some(threads) => threads.get(),
            None => std::thread::available_parallelism()?.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    fn parse(line: &str) -> Bench {
        Line::try_parse_from(line.split(' ')).unwrap().bench
    }

    #[test]
    fn all_tasks_and_no_peers_unless_asked() {
        let bench = parse("bench");
        assert_eq!((bench.tasks.len(), bench.peers.len(), bench.runs), (5, 0, 3));
    }

    #[test]
    fn peers_are_all_or_those_named() {
        use Program::{Candle, OpenVino, PyTorch};
        assert_eq!(parse("bench --peers --runs 1").peers, [PyTorch, OpenVino, Candle]);
        assert_eq!(parse("bench --peers candle,openvino").peers, [Candle, OpenVino]);
        assert_eq!(parse("bench --tasks unet,text").tasks, [Task::Unet, Task::Text]);
        // The engine is no peer of itself.
        assert!(Line::try_parse_from(["bench", "--peers", "engine"]).is_err());
    }
}
