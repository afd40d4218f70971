//! The Python environment of the peers, and OpenVINO's converted networks, below `target/peers`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::task::Task;
use crate::workspace;

/// Makes the environment, once for each state of `requirements.txt`.
pub(super) fn install() -> anyhow::Result<()> {
    let requirements = scripts().join("requirements.txt");
    let wanted = fs::read(&requirements).with_context(|| requirements.display().to_string())?;
    // Written last: without it, the environment is not whole.
    let stamp = environment().join("installed.txt");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    eprintln!("installing the Python peers into {}", environment().display());
    if !python().exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(environment()))
            .context("python3 (3.11 or later) with its venv module is needed")?;
    }
    run(Command::new(python()).args(["-m", "pip", "install", "-q", "-r"]).arg(requirements))?;
    fs::write(&stamp, wanted).with_context(|| stamp.display().to_string())
}

/// Converts the networks that these tasks need for OpenVINO, where that is not done yet.
pub(super) fn convert(model: &Path, tasks: &[Task]) -> anyhow::Result<()> {
    let missing: Vec<_> =
        networks(tasks).filter(|name| !converted().join(format!("{name}.xml")).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("converting for OpenVINO: {}", missing.join(", "));
    run(script("convert_openvino.py")
        .arg("--model")
        .arg(model)
        .arg("--cache")
        .arg(converted())
        .args(missing))
}

/// The networks of these tasks, each once.
fn networks(tasks: &[Task]) -> impl Iterator<Item = &'static str> {
    let whole = tasks.contains(&Task::Image);
    [Task::Unet, Task::Decode, Task::Encode, Task::Text]
        .into_iter()
        .filter(move |&task| tasks.contains(&task) || (whole && task != Task::Encode))
        .map(Task::name)
        .collect::<Vec<_>>()
        .into_iter()
}

/// A script of `bench/peers/python`, to be run in the environment.
pub(super) fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command
        .arg(scripts().join(name))
        // Nothing is fetched: all that the peers read is on this machine.
        .env("HF_HUB_OFFLINE", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // What they warn of is of no account here; errors still show.
        .env("PYTHONWARNINGS", "ignore")
        .env("TRANSFORMERS_VERBOSITY", "error");
    command
}

/// Where OpenVINO's networks lie.
pub(super) fn converted() -> PathBuf {
    workspace::path("target/peers/openvino")
}

fn scripts() -> PathBuf {
    workspace::path("bench/peers/python")
}

fn environment() -> PathBuf {
    workspace::path("target/peers/python")
}

fn python() -> PathBuf {
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    environment().join(folder).join("python")
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{:?}", command.get_program()))?;
    ensure!(status.success(), "{:?}: {status}", command.get_program());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Task, networks};

    #[test]
    fn an_image_needs_all_but_the_encoder() {
        let of = |tasks: &[Task]| networks(tasks).collect::<Vec<_>>();
        assert_eq!(of(&[Task::Image]), ["unet", "decode", "text"]);
        assert_eq!(of(&[Task::Encode, Task::Unet, Task::Unet]), ["unet", "encode"]);
    }
}
