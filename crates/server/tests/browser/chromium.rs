//! Chromium, driven over a pipe by the DevTools protocol: JSON messages, each ended by a NUL.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::PATIENCE;

/// The names under which it is installed.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one tab; it ends when dropped.
pub(crate) struct Browser {
    child: Child,
    pipe: RefCell<Pipe>,
    tab: String,
    _profile: TempDir,
}

struct Pipe {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    last: u64,
    /// What came beside answers.
    events: VecDeque<Value>,
}

impl Browser {
    /// Starts it. `None`, said on stderr, where it is not installed.
    ///
    /// # Panics
    /// Under `CI=true` it must be installed.
    pub(crate) fn start() -> Option<Self> {
        let installed = |name: &&&str| {
            let found = Command::new(name).arg("--version").stderr(Stdio::null()).output();
            found.is_ok_and(|output| output.status.success())
        };
        let Some(name) = NAMES.iter().find(installed) else {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            let is_ci = std::env::var("CI").as_deref() == Ok("true");
            assert!(!is_ci, "{test} needs Chromium: install one of {NAMES:?}");
            eprintln!("{test}: skipped, Chromium is not installed");
            return None;
        };
        let profile = TempDir::new().unwrap();
        // It reads from file 3 and writes to file 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", name])
            .args(["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--mute-audio"])
            // Containers give it neither a sandbox nor much shared memory.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"])
            .arg("--disable-background-networking")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let pipe = RefCell::new(Pipe { to, from, last: 0, events: VecDeque::new() });
        let mut browser = Self { child, pipe, tab: String::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", target);
        browser.tab = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.size(1280, 900, false);
        Some(browser)
    }

    /// Calls a method of the protocol, and waits for its answer.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        let mut pipe = self.pipe.borrow_mut();
        pipe.last += 1;
        let id = pipe.last;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.tab.is_empty() {
            message["sessionId"] = self.tab.clone().into();
        }
        pipe.to.write_all(message.to_string().as_bytes()).unwrap();
        pipe.to.write_all(b"\0").unwrap();
        pipe.to.flush().unwrap();
        loop {
            let mut bytes = Vec::new();
            let read = pipe.from.read_until(0, &mut bytes).unwrap();
            assert!(read > 0, "Chromium has ended");
            let mut answer: Value = serde_json::from_slice(&bytes[..read - 1]).unwrap();
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            pipe.events.push_back(answer);
        }
    }

    /// The value of an expression; promises are waited for.
    #[track_caller]
    pub(crate) fn eval(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn wait(&self, expression: &str) {
        let start = Instant::now();
        // Looked at as the page paints, so the time between is the browser's.
        let looked = format!(
            "new Promise((done) => {{ const end = performance.now() + 2000; const look = () => \
             ({expression}) ? done(true) : performance.now() > end ? done(false) : \
             setTimeout(look, 20); look(); }})"
        );
        while self.eval(&looked) != true {
            let waited = start.elapsed();
            assert!(
                waited < PATIENCE,
                "never: {expression}\n{}",
                self.eval("document.body.innerText")
            );
        }
    }

    /// Waits for an event whose parameters are wanted.
    #[track_caller]
    pub(crate) fn wait_for(&self, method: &str, is_wanted: impl Fn(&Value) -> bool) {
        let start = Instant::now();
        loop {
            // What has come is read with the answer to the next call.
            self.eval("new Promise((done) => setTimeout(done, 20))");
            let pipe = self.pipe.borrow();
            if pipe
                .events
                .iter()
                .any(|event| event["method"] == method && is_wanted(&event["params"]))
            {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "never: {method}");
        }
    }

    /// Saves what is downloaded from now on into a folder.
    pub(crate) fn save_into(&self, folder: &str) {
        let params = json!({
            "behavior": "allow", "downloadPath": folder, "eventsEnabled": true
        });
        self.call("Browser.setDownloadBehavior", params);
    }

    pub(crate) fn open(&self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.wait("document.readyState === 'complete'");
    }

    /// The size of the window in CSS pixels, as a phone or not.
    pub(crate) fn size(&self, width: u32, height: u32, phone: bool) {
        let scale = if phone { 2 } else { 1 };
        let params = json!({
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone
        });
        self.call("Emulation.setDeviceMetricsOverride", params);
        self.call("Emulation.setTouchEmulationEnabled", json!({"enabled": phone}));
    }

    /// What people prefer, such as `prefers-color-scheme`.
    pub(crate) fn prefer(&self, name: &str, value: &str) {
        let features = json!([{"name": name, "value": value}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    pub(crate) fn write(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Presses a key by its name, such as `Tab`.
    pub(crate) fn press(&self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            "Escape" => (27, ""),
            " " => (32, " "),
            other => panic!("{other:?} is not known here"),
        };
        let params = |kind: &str| {
            json!({
                "type": kind, "key": key, "code": if key == " " { "Space" } else { key },
                "windowsVirtualKeyCode": code, "text": text
            })
        };
        self.call(
            "Input.dispatchKeyEvent",
            params(if text.is_empty() { "rawKeyDown" } else { "keyDown" }),
        );
        self.call("Input.dispatchKeyEvent", params("keyUp"));
    }

    /// Gives a file input these files.
    pub(crate) fn choose(&self, selector: &str, file: &str) {
        let root = self.call("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
        let found = self.call("DOM.querySelector", json!({"nodeId": root, "selector": selector}));
        self.call("DOM.setFileInputFiles", json!({"nodeId": found["nodeId"], "files": [file]}));
    }

    /// What the page complained of on its console, and what it broke off with.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.eval("1");
        let events = &self.pipe.borrow().events;
        let bad = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                matches!(event["params"]["type"].as_str(), Some("error" | "warning" | "assert"))
            }
            Some("Log.entryAdded") => {
                matches!(event["params"]["entry"]["level"].as_str(), Some("error" | "warning"))
            }
            _ => false,
        };
        events.iter().filter(bad).map(|event| event["params"].to_string()).collect()
    }

    /// Keeps a picture of the page below `$DIFFUSION_SERVER_SCREENSHOTS`, if that is set.
    pub(crate) fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("DIFFUSION_SERVER_SCREENSHOTS") else { return };
        let shot = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let bytes = BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(name).with_extension("png"), bytes)
            .unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked first: its helpers end with it then.
        let pipe = self.pipe.get_mut();
        let _ = pipe.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let _ = pipe.to.flush();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            match pipe.from.read_until(0, &mut Vec::new()) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
