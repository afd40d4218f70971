//! A client that does not give up, and many of them that keep a server busy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use ureq::http::Request;

/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(10);

/// How long a job may take from its acceptance, whatever happens meanwhile.
const JOB: Duration = Duration::from_secs(150);

/// How often a client asks for its job.
const LOOK: Duration = Duration::from_millis(50);

/// Seeds that are asked for, so that bytes can be compared.
pub(super) const SEEDS: u64 = 5;

/// Talks to servers over one site: to another when one does not answer.
pub(super) struct Client {
    agent: ureq::Agent,
    ports: Vec<u16>,
    next: AtomicUsize,
}

/// A status and a body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn new(ports: Vec<u16>) -> Self {
        Self { agent: agent(REQUEST), ports, next: AtomicUsize::new(0) }
    }

    /// Waits so long for each answer.
    pub(super) fn patient(self, time: Duration) -> Self {
        Self { agent: agent(time), ..self }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let port = self.ports[self.next.load(Ordering::Relaxed) % self.ports.len()];
        let uri = format!("http://127.0.0.1:{port}{path}");
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = match body {
            Some(body) => {
                let request = request
                    .header("content-type", "application/json")
                    .header("prefer", "respond-async");
                self.agent.run(request.body(body.to_string())?)
            }
            None => self.agent.run(request.body(())?),
        };
        let answer = answer.inspect_err(|_| {
            self.next.fetch_add(1, Ordering::Relaxed);
        })?;
        let (parts, mut body) = answer.into_parts();
        let retry_after = parts.headers.get("retry-after");
        Ok(Answer {
            status: parts.status.as_u16(),
            retry_after: retry_after.and_then(|value| Some(value.to_str().ok()?.to_owned())),
            body: body.with_config().limit(1 << 26).read_to_vec()?,
        })
    }

    pub(super) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send("GET", path, None, None)
    }

    pub(super) fn get_json(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.get(path)?.body)?)
    }

    /// Asks for a job once.
    pub(super) fn post(&self, path: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send("POST", path, Some(key), Some(body))
    }

    /// Asks for a job until it is acknowledged, under one `Idempotency-Key`; its id.
    pub(super) fn ask(&self, key: &str, body: &Value) -> anyhow::Result<String> {
        let since = Instant::now();
        loop {
            match self.post("/api/v1/jobs", key, body) {
                Ok(answer) if answer.status < 300 => {
                    let job: Value = serde_json::from_slice(&answer.body)?;
                    return Ok(job["id"].as_str().context("a job without id")?.to_owned());
                }
                Ok(answer) if ![429, 500, 503, 507].contains(&answer.status) => {
                    bail!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
                }
                Ok(answer) if answer.status == 500 => {
                    eprintln!("500: {}", String::from_utf8_lossy(&answer.body));
                }
                _ => {}
            }
            ensure!(since.elapsed() < JOB, "the server takes no jobs any more");
            thread::sleep(LOOK);
        }
    }

    /// Waits for the end of a job, whatever happens to the server.
    pub(super) fn wait(&self, id: &str) -> anyhow::Result<Value> {
        let since = Instant::now();
        loop {
            if let Ok(job) = self.get_json(&format!("/api/v1/jobs/{id}"))
                && job["finished_at"].is_string()
            {
                return Ok(job);
            }
            ensure!(since.elapsed() < JOB, "job {id} does not end");
            thread::sleep(LOOK);
        }
    }
}

fn agent(patience: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    config.http_status_as_error(false).timeout_global(Some(patience)).build().new_agent()
}

/// What is asked for a seed.
pub(super) fn body(prompt: &str, seed: u64, steps: u32) -> Value {
    json!({"kind": "txt2img", "prompt": prompt, "seed": seed, "steps": steps})
}

/// What a client saw of a job that it asked for.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) seed: u64,
    /// As it was first seen to have ended; `None` if it was not.
    pub(super) ended: Option<Value>,
}

/// What all clients know.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Acknowledged jobs by their ids.
    pub(super) jobs: BTreeMap<String, Seen>,
    /// When jobs ended.
    pub(super) ends: Vec<Instant>,
    /// What went wrong.
    pub(super) broken: Vec<String>,
    /// Jobs that the row asked for itself.
    pub(super) others: usize,
}

/// Clients, each of which asks for a job, waits for its end, and asks for the next.
pub(super) struct Load {
    known: Arc<Mutex<Known>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(ports: &[u16], clients: usize, steps: u32) -> Self {
        let known = Arc::new(Mutex::new(Known::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU64::new(0));
        let clients = (0..clients)
            .map(|_| {
                let (known, stop, count) = (known.clone(), stop.clone(), count.clone());
                let client = Client::new(ports.to_vec());
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let n = count.fetch_add(1, Ordering::Relaxed);
                        if let Err(error) = one(&client, n, steps, &known) {
                            lock(&known).broken.push(format!("{error:#}"));
                            return;
                        }
                    }
                })
            })
            .collect();
        Self { known, stop, clients }
    }

    /// How many jobs have ended.
    pub(super) fn ended(&self) -> usize {
        lock(&self.known).ends.len()
    }

    /// Waits for the end of so many further jobs; whether they came.
    pub(super) fn wait_for(&self, more: usize) -> bool {
        let (since, before) = (Instant::now(), self.ended());
        while self.ended() < before + more {
            if since.elapsed() > JOB || self.clients.iter().all(JoinHandle::is_finished) {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Lets every client end its last job, and gives what they saw.
    pub(super) fn stop(self) -> Known {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            let _ = client.join();
        }
        std::mem::take(&mut lock(&self.known))
    }
}

fn lock(known: &Mutex<Known>) -> std::sync::MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn one(client: &Client, n: u64, steps: u32, known: &Mutex<Known>) -> anyhow::Result<()> {
    let seed = n % SEEDS;
    let id = client.ask(&format!("chaos-{n}"), &body("a cat", seed, steps))?;
    let twice = lock(known).jobs.insert(id.clone(), Seen { seed, ended: None });
    ensure!(twice.is_none(), "two requests were given job {id}");
    let job = client.wait(&id)?;
    let mut known = lock(known);
    known.ends.push(Instant::now());
    known.jobs.insert(id, Seen { seed, ended: Some(job) });
    Ok(())
}
