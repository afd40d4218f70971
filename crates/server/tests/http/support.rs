//! A server of its own for each test, and a client.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use ureq::http::{HeaderMap, Request};

/// How long a test waits for what should come at once, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program, with nothing of this machine's user around it but what the test gives.
pub(crate) fn program(args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diffusion-server"));
    command.args(args);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DIFFUSION_SERVER_") {
            command.env_remove(name);
        }
    }
    command.env("HF_HUB_CACHE", "/nonexistent").env("RUST_BACKTRACE", "1");
    command.envs(variables.iter().copied());
    command
}

/// Runs the program to its end.
pub(crate) fn execute(args: &[&str], variables: &[(&str, &str)]) -> Output {
    program(args, variables).output().unwrap()
}

/// A folder for what a server keeps. It outlives the server, so that another may go on with it.
pub(crate) struct Data(TempDir);

impl Data {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    agent: ureq::Agent,
    _data: Option<Data>,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// Starts a server on a free port of loopback, over an empty folder of its own.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        let data = Data::new();
        let mut server = Self::start_in(&data, &["--bind", "127.0.0.1:0"], variables);
        server._data = Some(data);
        server
    }

    /// Starts a server over this folder. The arguments must have it choose a free port.
    pub(crate) fn start_in(data: &Data, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = data.path().join("log");
        let mut command = program(&["serve", "--data", data.as_str()], variables);
        command.args(args).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            let _ = child.kill();
            panic!("{line:?} {}", fs::read_to_string(&log).unwrap());
        };
        let mut address: SocketAddr = address.parse().unwrap();
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        Self { child, address, log, agent, _data: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the server wrote to stderr until now.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send("POST", path, &headers, body.to_string().as_bytes())
    }

    /// Calls with a key; null is no body.
    pub(crate) fn call(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", &*authorization), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &headers, body.as_bytes())
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            [] => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body).unwrap()),
        };
        let (parts, mut body) = answer.unwrap().into_parts();
        let body = body.with_config().limit(1 << 30).read_to_vec().unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// An answer that is read as it comes.
    pub(crate) fn open(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Box<dyn BufRead>) {
        let mut request = Request::builder().uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body) = self.agent.run(request.body(()).unwrap()).unwrap().into_parts();
        (parts.status.as_u16(), Box::new(BufReader::new(body.into_reader())))
    }

    /// The id of the server's process.
    #[cfg(target_os = "linux")]
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// A bare connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Sends these bytes on a connection of its own, and reads until the server closes it.
    pub(crate) fn raw(&self, bytes: &str) -> String {
        let mut socket = self.connect();
        socket.write_all(bytes.as_bytes()).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Asks the server to stop (SIGTERM), and waits until it did.
    #[cfg(unix)]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        use nix::sys::signal::{Signal, kill};
        use nix::unistd::Pid;
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The details of an answer that must be a problem of this status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let details = self.json();
        assert_eq!(details["status"], status);
        assert!(details["type"].is_string() && details["title"].is_string(), "{details}");
        assert!(details["detail"].is_string(), "{details}");
        assert_eq!(details["request_id"].as_str(), self.header("x-request-id"));
        details
    }
}
