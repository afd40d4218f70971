//! Tasks of the developers; `cargo xtask --help` lists them. One file for each.

mod bench;
#[cfg(target_os = "linux")]
mod chaos;
mod clients;
mod full_size;
mod fuzz;
mod goldens;
mod notebook;
mod pocket;
mod python;
mod server;
mod test;
mod verify;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Tasks of the developers
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Check format and lints, then build and run every test
    Test,
    /// Make the golden files of the tests anew, with the reference implementation in Python
    Goldens,
    /// Execute the notebook against a server of its own
    Notebook,
    Clients(clients::Clients),
    /// Test the training code of the demo models, in a Python environment below `target`
    Pocket,
    Bench(bench::Bench),
    #[cfg(target_os = "linux")]
    Chaos(chaos::Chaos),
    #[command(hide = true)]
    BenchEngine(bench::BenchEngine),
    FullSize(full_size::FullSize),
    Fuzz(fuzz::Fuzz),
    Verify(verify::Verify),
}

fn main() -> anyhow::Result<ExitCode> {
    let task = Task::parse();
    // These compute for long; `cargo xtask` itself is built quickly, without optimisation.
    let heavy = matches!(task, Task::Bench(_) | Task::BenchEngine(_) | Task::FullSize(_));
    if heavy && cfg!(debug_assertions) {
        return workspace::run_in_release();
    }
    match task {
        Task::Test => test::run()?,
        Task::Goldens => goldens::run()?,
        Task::Notebook => notebook::run()?,
        Task::Clients(clients) => clients.execute()?,
        Task::Pocket => pocket::run()?,
        Task::Bench(bench) => bench.execute()?,
        #[cfg(target_os = "linux")]
        Task::Chaos(chaos) => chaos.execute()?,
        Task::BenchEngine(engine) => engine.execute()?,
        Task::FullSize(full_size) => full_size.execute()?,
        Task::Fuzz(fuzz) => fuzz.execute()?,
        Task::Verify(verify) => verify.execute()?,
    }
    Ok(ExitCode::SUCCESS)
}
