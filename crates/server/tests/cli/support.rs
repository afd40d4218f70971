//! A place of its own for each test, and the program run in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

/// The folder of tiny models.
pub(crate) fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens").canonicalize().unwrap()
}

/// One tiny model, as an argument.
pub(crate) fn tiny(model: &str) -> String {
    goldens().join(model).display().to_string()
}

/// A temporary folder that the program runs in.
pub(crate) struct Place(TempDir);

/// What a command left behind.
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(TempDir::new().unwrap());
        std::fs::create_dir(place.path("hub")).unwrap();
        place
    }

    /// A place in which a database is kept already.
    pub(crate) fn with_database() -> Self {
        let place = Self::new();
        place.execute(&["keys", "create", "any"]).succeeded();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command, with nothing of this machine's user around it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diffusion-server"));
        command.args(args).current_dir(self.0.path()).env("HF_HUB_CACHE", self.path("hub"));
        for name in ["MODELS", "THREADS", "MEMORY", "DATABASE", "CONFIG", "IMAGE_ROOTS"] {
            command.env_remove(format!("DIFFUSION_SERVER_{name}"));
        }
        command.env("DIFFUSION_SERVER_DATA", self.path("data"));
        command.env("RUST_BACKTRACE", "1");
        command
    }

    /// Runs the command to its end.
    pub(crate) fn execute(&self, args: &[&str]) -> Outcome {
        let output = assert_cmd::Command::from_std(self.command(args))
            .timeout(std::time::Duration::from_secs(120))
            .output()
            .unwrap();
        Outcome {
            status: output.status.code().expect("the program was ended by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Copies a tiny model into this place.
    pub(crate) fn copy_model(&self, model: &str, to: &str) {
        let mut folders = vec![(goldens().join(model), self.path(to))];
        while let Some((from, to)) = folders.pop() {
            std::fs::create_dir_all(&to).unwrap();
            for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
                let (path, target) = (entry.path(), to.join(entry.file_name()));
                if path.is_dir() {
                    folders.push((path, target));
                } else {
                    std::fs::copy(path, target).unwrap();
                }
            }
        }
    }

    /// Writes a picture of many colours; the ending tells the format.
    pub(crate) fn picture(&self, name: &str, width: u32, height: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let shade = |i: u32, count: u32| (i * 255 / count) as u8;
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([shade(x, width), shade(y, height), shade(x ^ y, width.max(height) * 2)])
        })
        .save(&path)
        .unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The pixels of a picture that must decode.
    pub(crate) fn pixels(&self, name: &str) -> RgbImage {
        let image = image::load_from_memory(&self.read(name));
        image.unwrap_or_else(|error| panic!("{name}: {error}")).to_rgb8()
    }

    /// The value of one text of a PNG.
    pub(crate) fn png_text(&self, name: &str, keyword: &str) -> String {
        let texts = diffusion_engine::images::read_text(&self.read(name)).unwrap();
        let found = texts.into_iter().find(|(key, _)| key == keyword);
        found.unwrap_or_else(|| panic!("{name} has no text {keyword}")).1
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// All files below a folder by their relative paths with `/`; none where there is no folder.
    pub(crate) fn files(&self, folder: &str) -> BTreeSet<String> {
        let root = self.path(folder);
        let mut files = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let path = path.strip_prefix(&root).unwrap();
                    files.insert(path.to_str().unwrap().replace('\\', "/"));
                }
            }
        }
        files
    }
}

impl Outcome {
    /// Fails unless the command succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        self.ended(0)
    }

    /// Fails unless the command ended with this status.
    #[track_caller]
    pub(crate) fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Fails unless the command ended with status 2 and one line on stderr that says all `words`.
    #[track_caller]
    pub(crate) fn refused(self, words: &[&str]) {
        let outcome = self.ended(2);
        let line = outcome.stderr.strip_suffix('\n').unwrap_or(&outcome.stderr);
        assert!(line.starts_with("error: "), "{line:?}");
        assert!(!line.contains(char::is_control), "not one plain line: {line:?}");
        for word in words {
            assert!(line.contains(word), "{line:?} does not say {word:?}");
        }
        assert_eq!(outcome.stdout, "");
    }
}
