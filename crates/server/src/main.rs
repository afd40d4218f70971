//! `diffusion-server`: Stable Diffusion from the command line and over HTTP.

mod batch;
mod catalogue;
mod cli;
mod config;
mod dataset;
mod defaults;
mod embedded;
mod encode;
mod explain;
mod failpoints;
mod fingerprint;
mod housekeeping;
mod http;
mod infotext;
mod inpaint;
mod interrupt;
mod live;
mod machine;
mod output;
mod pace;
mod places;
mod plan;
mod resolve;
mod runtime;
mod samplers;
mod supervisor;
mod telemetry;
mod whole;
mod worker;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misuse(&error),
    };
    match cli.run() {
        Ok(status) => status,
        Err(error) if interrupt::requested() => {
            eprintln!("interrupted: {}", output::one_line(&explain::explain(&error)));
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {}", output::one_line(&explain::explain(&error)));
            ExitCode::from(2)
        }
    }
}

/// Help and version as clap writes them; a mistake in one line.
fn misuse(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    let status = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    if let DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | DisplayVersion = error.kind() {
        // Nothing is left to be done where even this cannot be written.
        let _ = error.print();
        return status;
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let message = lines.collect::<Vec<_>>().join(" ");
    eprintln!("{} (see --help)", output::one_line(&message));
    status
}
