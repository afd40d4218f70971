//! A server as a process, with its worker.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::client::Client;
use super::site::Site;

/// How long a server may take to answer or to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server; killed with its worker when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    log: PathBuf,
}

impl Server {
    /// Starts a server at this port, and returns once it listens.
    pub(super) fn start(site: &Site, port: u16) -> anyhow::Result<Self> {
        let log = site.path().join(format!("log-{port}"));
        let mut command = Command::new(&site.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DIFFUSION_SERVER_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["serve", "--bind", &format!("127.0.0.1:{port}"), "--database", &site.database])
            .arg("--data")
            .arg(site.path())
            .env("HF_HUB_CACHE", "/nonexistent")
            .envs(site.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(OpenOptions::new().create(true).append(true).open(&log)?)
            .spawn()
            .with_context(|| site.program.display().to_string())?;
        let mut line = String::new();
        let out = child.stdout.take().context("no output of the server")?;
        BufReader::new(out).read_line(&mut line)?;
        if !line.starts_with("listening on ") {
            let _ = child.kill();
            bail!("the server did not start: {}", fs::read_to_string(&log)?);
        }
        Ok(Self { child, port, log })
    }

    /// As [`Server::start`], and waits until its worker claims images.
    pub(super) fn start_whole(site: &Site, port: u16) -> anyhow::Result<Self> {
        let server = Self::start(site, port)?;
        server.wait_for_worker()?;
        Ok(server)
    }

    /// Waits until the worker claims images.
    pub(super) fn wait_for_worker(&self) -> anyhow::Result<()> {
        let client = Client::new(vec![self.port]);
        wait(|| Ok(client.get_json("/readyz")?["checks"]["worker"] == "ok"))
            .with_context(|| self.log())
    }

    pub(super) fn client(&self) -> Client {
        Client::new(vec![self.port])
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// The worker's process, where there is one.
    pub(super) fn worker(&self) -> Option<Pid> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let children = tasks
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let children: Vec<i32> = children
            .flat_map(|list| {
                list.split(' ').filter_map(|id| id.trim().parse().ok()).collect::<Vec<_>>()
            })
            .collect();
        children.into_iter().map(Pid::from_raw).next()
    }

    /// Sends a signal to the worker; whether there was one.
    pub(super) fn signal_worker(&self, signal: Signal) -> bool {
        self.worker().is_some_and(|worker| kill(worker, signal).is_ok())
    }

    /// Sends a signal to server and worker.
    pub(super) fn signal_both(&self, signal: Signal) {
        let worker = self.worker();
        let _ = kill(self.pid(), signal);
        if let Some(worker) = worker {
            let _ = kill(worker, signal);
        }
    }

    /// Asks the server to stop, and waits until it has.
    pub(super) fn stop(mut self) -> anyhow::Result<ExitStatus> {
        kill(self.pid(), Signal::SIGTERM)?;
        let mut status = None;
        wait(|| {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })?;
        status.context("no status")
    }

    /// Memory of the server without its worker, in bytes.
    pub(super) fn resident(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()).context("no VmRSS")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// What server and worker wrote.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal_both(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Asks again and again until it is so.
pub(super) fn wait(mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let since = Instant::now();
    loop {
        // What cannot be asked now may be later.
        match is_so() {
            Ok(true) => return Ok(()),
            Err(error) if since.elapsed() > PATIENCE => return Err(error),
            Ok(false) if since.elapsed() > PATIENCE => bail!("waited in vain"),
            _ => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Thousands of connections are open files.
pub(super) fn raise_open_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// Fills what is left of a file system.
pub(super) fn fill(path: PathBuf) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    let block = vec![0_u8; 4096];
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    Ok(())
}
