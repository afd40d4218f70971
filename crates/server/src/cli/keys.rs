//! `diffusion-server keys`: API keys.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use diffusion_jobs::Database;
use diffusion_jobs::keys::{self, Scope};
use uuid::Uuid;

use super::data;
use crate::config::DataArgs;
use crate::output::one_line;
use crate::output::say;

/// Make, list and revoke API keys
#[derive(Debug, Args)]
#[command(after_help = "\
May be used beside a running server, which follows within two seconds.

Examples:
  diffusion-server keys create gallery --scope generate
  diffusion-server keys list
  diffusion-server keys revoke 0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90")]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and print it, this once
    Create {
        /// What it is for
        name: String,

        /// What it may be used for; each includes those before it: read, generate, admin
        #[arg(long = "scope", value_delimiter = ',', default_value = "generate")]
        scopes: Vec<Scope>,

        #[command(flatten)]
        data: DataArgs,
    },
    /// List all keys, without the keys themselves
    List {
        /// Print a JSON array of objects
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Refuse a key from now on
    Revoke {
        /// Its id, as listed
        id: Uuid,

        #[command(flatten)]
        data: DataArgs,
    },
}

impl Keys {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.command.execute())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Command {
    async fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Create { name, scopes, data } => {
                let location = data.load()?.config.storage.database()?;
                let database = Database::open(&location).await.with_context(|| location.shown())?;
                let (key, secret) =
                    keys::create(&database, &name, scopes.into_iter().collect()).await?;
                say!("{}", secret.expose())?;
                eprintln!("made key {}; it is shown this once", key.id);
            }
            Self::List { json, data } => {
                let keys = keys::list(&existing(data).await?).await?;
                if json {
                    say!("{}", serde_json::to_string_pretty(&keys)?)?;
                } else {
                    print(&keys)?;
                }
            }
            Self::Revoke { id, data } => {
                let key = keys::revoke(&existing(data).await?, id).await?;
                say!("revoked {} {}", key.id, one_line(&key.name))?;
            }
        }
        Ok(())
    }
}

fn print(keys: &[keys::Key]) -> std::io::Result<()> {
    say!("{:36}  {:20}  {:8}  NAME", "ID", "CREATED", "SCOPE")?;
    for key in keys {
        let created = key.created_at.format("%Y-%m-%dT%H:%M:%SZ");
        let scope = match (key.revoked_at, key.scopes.last()) {
            (None, Some(scope)) => scope.name(),
            (None, None) => "-",
            (Some(_), _) => "revoked",
        };
        say!("{}  {created}  {scope:8}  {}", key.id, one_line(&key.name))?;
    }
    Ok(())
}

async fn existing(data: DataArgs) -> anyhow::Result<Database> {
    data::open_existing(&data.load()?.config.storage.database()?).await
}
