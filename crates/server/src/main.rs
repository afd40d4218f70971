//! `diffusion-server`: Stable Diffusion from the command line.

mod batch;
mod catalogue;
mod cli;
mod embedded;
mod interrupt;
mod output;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(status) => status,
        Err(error) if interrupt::requested() => {
            eprintln!("interrupted: {}", output::one_line(&format!("{error:#}")));
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {}", output::one_line(&format!("{error:#}")));
            ExitCode::from(2)
        }
    }
}
