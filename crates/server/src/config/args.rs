//! The flags of commands that are configured.

use std::path::PathBuf;

use clap::Args;

use super::load::{Flag, Loaded, load};

/// Where things are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataArgs {
    /// The configuration file [default: config.toml in the data folder, if there is one]
    #[arg(long, value_name = "FILE", env = "DIFFUSION_SERVER_CONFIG")]
    config: Option<PathBuf>,

    /// Folder for everything that is kept [default: ~/.local/share/diffusion-server]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,

    /// The database, sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/NAME [default: server.db in the data folder]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

/// Everything that can be configured by a flag.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    data: DataArgs,

    /// Where to listen [default: 127.0.0.1:8000]
    #[arg(long, value_name = "HOST:PORT")]
    bind: Option<String>,

    /// Demand API keys on loopback too
    #[arg(long)]
    demand_keys: bool,

    /// Let everyone who can reach the server beyond this machine use it, without API keys
    #[arg(long, conflicts_with = "demand_keys")]
    allow_anonymous_beyond_loopback: bool,

    /// Folder whose sub-folders are diffusers models
    #[arg(long, value_name = "DIR")]
    models_dir: Option<String>,

    /// Folders of images beside `images` in the data folder, separated by commas
    #[arg(long, value_name = "DIR,…")]
    images_dir: Option<String>,

    /// Threads that compute [default: all processors]
    #[arg(long, value_name = "N")]
    threads: Option<String>,

    /// The most memory that models and their work may take, for instance 6GB
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,

    /// Numbers to compute in: f32, or int8, which is faster and close to the same images
    #[arg(long)]
    precision: Option<String>,
}

impl DataArgs {
    /// File, environment and these flags together.
    ///
    /// # Errors
    /// The file cannot be read, or a value is not valid; the message says where it stands.
    pub(crate) fn load(self) -> anyhow::Result<Loaded> {
        let (file, flags) = self.flags();
        load(file, &environment, &flags)
    }

    fn flags(self) -> (Option<PathBuf>, Vec<Flag>) {
        let flags = [
            flag("storage.data", "--data", self.data),
            flag("storage.database", "--database", self.database),
        ];
        (self.config, flags.into_iter().flatten().collect())
    }
}

impl ConfigArgs {
    /// File, environment and these flags together.
    ///
    /// # Errors
    /// The file cannot be read, or a value is not valid; the message says where it stands.
    pub(crate) fn load(self) -> anyhow::Result<Loaded> {
        let switch = |on: bool| on.then(|| "true".to_owned());
        let (file, mut flags) = self.data.flags();
        let more = [
            flag("server.bind", "--bind", self.bind),
            flag("server.demand_keys", "--demand-keys", switch(self.demand_keys)),
            flag(
                "server.allow_anonymous_beyond_loopback",
                "--allow-anonymous-beyond-loopback",
                switch(self.allow_anonymous_beyond_loopback),
            ),
            flag("storage.models", "--models-dir", self.models_dir),
            flag("storage.image_roots", "--images-dir", self.images_dir),
            flag("engine.threads", "--threads", self.threads),
            flag("engine.memory", "--memory", self.memory),
            flag("engine.precision", "--precision", self.precision),
        ];
        flags.extend(more.into_iter().flatten());
        load(file, &environment, &flags)
    }
}

fn flag(setting: &'static str, name: &'static str, value: Option<String>) -> Option<Flag> {
    Some(Flag { setting, name, value: value? })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
