//! Other programs that run the same networks: the folders of `bench/peers`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::Task;
use crate::workspace;

/// A crate that prints its [`Figures`] for the folder that it is given.
pub(super) struct Peer {
    pub(super) name: &'static str,
}

/// Every peer there is.
pub(super) const PEERS: &[Peer] = &[Peer { name: "candle" }];

/// What a peer prints, in seconds.
#[derive(Deserialize)]
struct Figures {
    unet: f64,
    vae: f64,
}

impl Peer {
    /// Builds it, so that no time is lost between the measurements.
    pub(super) fn build(&self) -> anyhow::Result<()> {
        let status = self.cargo("build").status()?;
        ensure!(status.success(), "building the peer {} failed", self.name);
        Ok(())
    }

    /// Seconds of each task that it knows.
    pub(super) fn measure(&self, folder: &Path) -> anyhow::Result<[(Task, f64); 2]> {
        let output = self.cargo("run").arg("--").arg(folder).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the peer {} failed", self.name);
        let Figures { unet, vae } = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("what the peer {} printed", self.name))?;
        Ok([(Task::UNet, unet), (Task::Vae, vae)])
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = workspace::cargo();
        cargo
            .args([command, "--quiet", "--release", "--locked", "--manifest-path"])
            .arg(workspace::path("bench/peers").join(self.name).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(workspace::path("target/peers").join(self.name))
            .env("RUSTFLAGS", "-C target-cpu=native");
        cargo
    }
}
