//! `diffusion-server jobs`: what was asked and what became of it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use diffusion_jobs::{Database, Filter, Job, JobImage, Queue, State};
use serde_json::json;
use uuid::Uuid;

use super::data;
use crate::config::{self, DataArgs};
use crate::output::one_line;
use crate::output::say;

/// List, show, cancel, try again and delete jobs
#[derive(Debug, Args)]
#[command(after_help = "\
May be used beside a running server.

Examples:
  diffusion-server jobs list --state failed
  diffusion-server jobs show 01a205ce-98e5-7420-8dde-eaa79edad50a
  diffusion-server jobs cancel 01a205ce-98e5-7420-8dde-eaa79edad50a")]
pub(super) struct Jobs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List jobs, the newest first
    List {
        /// Only jobs in this state: queued, running, succeeded, failed or cancelled
        #[arg(long)]
        state: Option<State>,

        /// The most to list
        #[arg(long, default_value_t = 20)]
        limit: u32,

        /// Print a JSON array of objects
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Show a job and its images as JSON
    Show {
        job: Uuid,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Cancel what has not ended of a job
    Cancel {
        job: Uuid,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Try again what failed or was cancelled of a job
    Retry {
        job: Uuid,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Delete a job that has ended, with its images
    Delete {
        job: Uuid,

        #[command(flatten)]
        data: DataArgs,
    },
}

impl Jobs {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let (Command::List { data, .. }
        | Command::Show { data, .. }
        | Command::Cancel { data, .. }
        | Command::Retry { data, .. }
        | Command::Delete { data, .. }) = &self.command;
        let config = data.clone().load()?.config;
        let location = config.storage.database()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let database = data::open_existing(&location).await?;
            let queue = Queue::open(&database, &location).await?;
            self.command.carry_out(&database, &queue, &config.queue).await
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Command {
    async fn carry_out(
        self,
        database: &Database,
        queue: &Queue,
        limits: &config::Queue,
    ) -> anyhow::Result<()> {
        match self {
            Self::List { state, limit, json, .. } => {
                let filter = Filter { state, ..Filter::default() };
                list(&database.jobs(&filter, limit).await?.items, json)?;
            }
            Self::Show { job, .. } => {
                let images = database.job_images(job).await?;
                let mut shown = summary(&database.job(job).await?);
                shown["images"] = images.iter().map(image).collect();
                say!("{}", serde_json::to_string_pretty(&shown)?)?;
            }
            Self::Cancel { job, .. } => {
                queue.cancel(job).await?;
                say!("{job} is {}", database.job(job).await?.state)?;
            }
            Self::Retry { job, .. } => {
                let owner = database.job(job).await?.owner;
                queue.retry(job, None, None, limits.backlog_for(owner)).await?;
                say!("{job} is {}", database.job(job).await?.state)?;
            }
            Self::Delete { job, .. } => {
                database.delete_job(job).await?;
                say!("{job} is deleted")?;
            }
        }
        Ok(())
    }
}

fn list(jobs: &[Job], json: bool) -> anyhow::Result<()> {
    if json {
        let jobs: Vec<_> = jobs.iter().map(summary).collect();
        say!("{}", serde_json::to_string_pretty(&jobs)?)?;
        return Ok(());
    }
    say!("{:36}  {:9}  {:7}  {:20}  PROMPTS", "JOB", "STATE", "KIND", "ACCEPTED")?;
    for job in jobs {
        let prompts = job.request["prompts"].to_string();
        let accepted = job.created_at.format("%Y-%m-%dT%H:%M:%SZ");
        let state = job.state.name();
        say!("{}  {state:9}  {:7}  {accepted}  {}", job.id, job.kind, one_line(&prompts))?;
    }
    Ok(())
}

fn summary(job: &Job) -> serde_json::Value {
    json!({
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "owner": job.owner,
        "priority": job.priority,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "request": *job.request,
    })
}

fn image(image: &JobImage) -> serde_json::Value {
    json!({
        "index": image.idx,
        "state": image.state,
        "plan": *image.plan,
        "input": image.input_path,
        "name": image.output_name,
        "seconds": image.seconds,
        "sha256": image.sha256,
        "bytes": image.bytes,
        "error": image.error,
    })
}
