//! `/api/v1/jobs`

mod actions;
#[cfg(target_os = "linux")]
mod crashes;
mod create;
mod events;
mod files;
mod masks;
mod owners;
mod pictures;
mod read;

use std::io::{BufRead, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Answer, PATIENCE, Server};

pub(crate) const JOBS: &str = "/api/v1/jobs";

/// An image that is made in a moment, and what is asked beside.
pub(crate) fn small(more: Value) -> Value {
    let mut job = json!({
        "kind": "txt2img", "prompt": "a cat", "width": 64, "height": 64, "steps": 2, "seed": 7
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

/// An image that is still being made when the test ends, unless it is cancelled.
pub(crate) fn long(more: Value) -> Value {
    let mut job = small(json!({"width": 256, "height": 256, "steps": 900}));
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

/// Asks for a job, and waits for its end.
#[track_caller]
pub(crate) fn made(server: &Server, job: &Value) -> Value {
    let answer = server.post(JOBS, job);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let job = answer.json();
    assert_eq!(answer.header("location"), Some(&*path(&job)));
    job
}

/// Asks for a job, and does not wait.
#[track_caller]
pub(crate) fn submitted(server: &Server, job: &Value) -> Value {
    let answer = asynchronous(server, JOBS, job);
    assert_eq!(answer.status, 202, "{}", answer.text());
    let job = answer.json();
    assert_eq!(answer.header("location"), Some(&*path(&job)));
    job
}

pub(crate) fn asynchronous(server: &Server, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    server.send("POST", path, &headers, body.to_string().as_bytes())
}

/// Where a job is.
pub(crate) fn path(job: &Value) -> String {
    format!("{JOBS}/{}", job["id"].as_str().unwrap())
}

/// A server-sent event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// The events of a job until its stream ends.
pub(crate) fn follow(server: &Server, job: &Value, headers: &[(&str, &str)]) -> Vec<Event> {
    events(server, job, headers).collect()
}

/// The events of a job as they come.
pub(crate) fn events(
    server: &Server,
    job: &Value,
    headers: &[(&str, &str)],
) -> impl Iterator<Item = Event> {
    let (status, stream) = server.open(&format!("{}/events", path(job)), headers);
    assert_eq!(status, 200);
    let mut lines = stream.lines();
    std::iter::from_fn(move || {
        let mut event = Event { name: String::new(), id: None, data: Value::Null };
        loop {
            let line = lines.next()?.unwrap();
            match line.split_once(": ").unwrap_or((&*line, "")) {
                ("event", name) => event.name = name.into(),
                ("id", id) => event.id = Some(id.into()),
                ("data", data) => event.data = serde_json::from_str(data).unwrap(),
                // The empty line ends an event; a comment keeps the connection.
                ("", _) if line.is_empty() && !event.name.is_empty() => return Some(event),
                _ => {}
            }
        }
    })
}

/// Waits until so many evaluations of a job's first image are done.
pub(crate) fn begun(server: &Server, job: &Value, evaluations: u64) {
    let found = events(server, job, &[]).any(|event| {
        assert_ne!(event.data["state"], "failed", "{event:?}");
        let images = event.data["images"].as_array();
        event.name == "progress"
            && images.unwrap().iter().any(|image| image["done"].as_u64() >= Some(evaluations))
    });
    assert!(found, "the job ended before");
}

/// Waits for the end of a job, and returns it.
pub(crate) fn ended(server: &Server, job: &Value) -> Value {
    let last = events(server, job, &[]).filter(|event| event.name == "job").last();
    last.unwrap().data
}

/// Sends a job and leaves the connection open, without waiting for the answer.
pub(crate) fn sent(server: &Server, headers: &str, job: &Value) -> TcpStream {
    let body = job.to_string();
    let mut socket = server.connect();
    let head = format!(
        "POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body.as_bytes()).unwrap();
    socket
}

/// The only job of a server, once there is one.
pub(crate) fn only(server: &Server) -> Value {
    let start = Instant::now();
    loop {
        let list = server.get(JOBS).json();
        if let [job] = &list["jobs"].as_array().unwrap()[..] {
            return job.clone();
        }
        assert!(start.elapsed() < PATIENCE, "there is no job");
    }
}

/// A member of each image of a job.
pub(crate) fn each(job: &Value, member: &str) -> Vec<Value> {
    job["images"].as_array().unwrap().iter().map(|image| image[member].clone()).collect()
}
