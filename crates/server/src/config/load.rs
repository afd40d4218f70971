//! Where settings come from: the file, the environment, flags, in that rising order.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use serde_json::{Map, Value};

use super::Config;

/// What is in force, and where it comes from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// The source of each setting, by its name.
    whence: BTreeMap<String, Whence>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whence {
    File(PathBuf),
    Environment(String),
    Flag(&'static str),
}

/// A flag that was given.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) setting: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// Puts the sources together. `environment` gives the value of a variable, if it is set. Without a
/// file, `config.toml` in the data folder is read, if there is one.
///
/// # Errors
/// The file cannot be read, or a value is not valid; the message says where it stands.
pub(super) fn load(
    file: Option<PathBuf>,
    environment: &dyn Fn(&str) -> Option<String>,
    flags: &[Flag],
) -> anyhow::Result<Loaded> {
    let defaults = serde_json::to_value(Config::default())?;
    let mut names = Vec::new();
    leaves(&defaults, "", &mut |name, default| names.push((name, default.is_array())));
    let mut above = Layer { values: Value::Object(Map::new()), whence: BTreeMap::new() };
    for (name, is_list) in &names {
        let variable = variable(name);
        if let Some(value) = environment(&variable) {
            let value = read(name, *is_list, &value).with_context(|| variable.clone())?;
            above.set(name, value, Whence::Environment(variable));
        }
    }
    for flag in flags {
        let is_list = names.iter().any(|(name, is_list)| name == flag.setting && *is_list);
        let value = read(flag.setting, is_list, &flag.value).context(flag.name)?;
        above.set(flag.setting, value, Whence::Flag(flag.name));
    }

    let file = match file {
        Some(file) => Some(file),
        None => {
            let config: Config = serde_json::from_value(above.values.clone())?;
            Some(config.storage.data.join("config.toml")).filter(|file| file.is_file())
        }
    };
    let mut layer = Layer { values: Value::Object(Map::new()), whence: BTreeMap::new() };
    if let Some(file) = file {
        let values = read_file(&file)?;
        leaves(&values, "", &mut |name, value| {
            layer.set(&name, value.clone(), Whence::File(file.clone()));
        });
    }
    leaves(&above.values, "", &mut |name, value| {
        if let Some(whence) = above.whence.get(&name) {
            layer.set(&name, value.clone(), whence.clone());
        }
    });
    let config = serde_json::from_value(layer.values)?;
    Ok(Loaded { config, whence: layer.whence })
}

impl fmt::Display for Loaded {
    /// Every setting as a line of TOML, with its source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = serde_json::to_value(&self.config).map_err(|_| fmt::Error)?;
        let mut lines = Vec::new();
        leaves(&values, "", &mut |name, value| {
            // Texts, numbers and lists are written alike in JSON and TOML; TOML has no null.
            let set = match value {
                Value::Null => format!("# {name} is not set"),
                value => format!("{name} = {value}"),
            };
            let whence = match self.whence.get(&name) {
                None => format!("default; {}", variable(&name)),
                Some(Whence::File(path)) => path.display().to_string(),
                Some(Whence::Environment(variable)) => variable.clone(),
                Some(Whence::Flag(flag)) => (*flag).to_owned(),
            };
            lines.push((set, whence));
        });
        let width = lines.iter().map(|(set, _)| set.chars().count().min(48)).max().unwrap_or(0);
        lines.iter().try_for_each(|(set, whence)| writeln!(f, "{set:width$}  # {whence}"))
    }
}

/// Settings of some sources.
struct Layer {
    values: Value,
    whence: BTreeMap<String, Whence>,
}

impl Layer {
    fn set(&mut self, name: &str, value: Value, whence: Whence) {
        put(&mut self.values, name, value);
        self.whence.insert(name.into(), whence);
    }
}

/// The variable that sets a setting.
fn variable(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    format!("DIFFUSION_SERVER_{}", last.to_uppercase())
}

/// Calls with the name and the value of each setting in a tree of sections.
fn leaves(tree: &Value, name: &str, with: &mut dyn FnMut(String, &Value)) {
    match tree {
        Value::Object(sections) => {
            for (part, value) in sections {
                let dot = if name.is_empty() { "" } else { "." };
                leaves(value, &format!("{name}{dot}{part}"), with);
            }
        }
        value => with(name.to_owned(), value),
    }
}

/// Puts a setting into a tree of sections.
fn put(tree: &mut Value, name: &str, value: Value) {
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    if let Value::Object(sections) = tree {
        match name.split_once('.') {
            None => drop(sections.insert(name.into(), value)),
            Some((first, rest)) => put(sections.entry(first).or_insert(Value::Null), rest, value),
        }
    }
}

/// Reads one value as its setting has it: a text, or else a number or truth value. Lists are
/// separated by commas.
fn read(name: &str, is_list: bool, text: &str) -> anyhow::Result<Value> {
    let fits = |value: &Value| {
        let mut tree = Value::Null;
        put(&mut tree, name, value.clone());
        serde_json::from_value::<Config>(tree).map(drop)
    };
    let value = match is_list {
        true => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
        false => Value::from(text),
    };
    let Err(error) = fits(&value) else { return Ok(value) };
    match text.parse::<Value>() {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => fits(&value).map(|()| Ok(value))?,
        _ => Err(error.into()),
    }
}

/// Reads the file; what is wrong in it is named with its line.
fn read_file(file: &PathBuf) -> anyhow::Result<Value> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let wrong = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        anyhow!("{}, line {line}: {}", file.display(), error.message())
    };
    toml::from_str::<Config>(&text).map_err(wrong)?;
    toml::from_str(&text).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tempfile::TempDir;

    use super::*;

    /// Loads with this file in the data folder, these variables, and these flags.
    fn loaded(file: &str, variables: &[(&str, &str)], flags: &[Flag]) -> anyhow::Result<Loaded> {
        let data = TempDir::new().unwrap();
        fs::write(data.path().join("config.toml"), file).unwrap();
        let environment = |name: &str| match name {
            "DIFFUSION_SERVER_DATA" => Some(data.path().display().to_string()),
            name => variables.iter().find(|(known, _)| *known == name).map(|(_, v)| v.to_string()),
        };
        load(None, &environment, flags)
    }

    #[test]
    fn flags_come_before_the_environment_and_that_before_the_file() {
        let file = "[server]\nbind = 'a:1'\nhosts = ['a']\n[server.limits]\nconnections = 5\n\
            [engine]\nmemory = '1GB'\nthreads = 3\n";
        let variables = [
            ("DIFFUSION_SERVER_BIND", "b:2"),
            ("DIFFUSION_SERVER_HOSTS", "b, c"),
            ("DIFFUSION_SERVER_MEMORY", "2GB"),
        ];
        let flag = Flag { setting: "server.bind", name: "--bind", value: "c:3".into() };
        let Loaded { config, whence } = loaded(file, &variables, &[flag]).unwrap();
        assert_eq!(config.server.bind, "c:3");
        assert_eq!(config.server.hosts, ["b", "c"]);
        assert_eq!(config.server.limits.connections.get(), 5);
        assert_eq!(config.engine.memory, Some(super::super::ByteSize(2 << 30)));
        assert_eq!(config.engine.threads.unwrap().get(), 3);
        assert_eq!(whence["server.bind"], Whence::Flag("--bind"));
        assert_eq!(whence["server.hosts"], Whence::Environment("DIFFUSION_SERVER_HOSTS".into()));
        assert!(matches!(whence["engine.threads"], Whence::File(_)));
        assert!(!whence.contains_key("engine.precision"));
    }

    #[test]
    fn mistakes_are_named_where_they_stand() {
        let message = |file: &str, variables: &[(&str, &str)]| {
            format!("{:#}", loaded(file, variables, &[]).unwrap_err())
        };
        let unknown = message("[server]\nbind = 'a:1'\nbnd = 'b:2'\n", &[]);
        assert!(unknown.contains("config.toml, line 3: ") && unknown.contains("bnd"), "{unknown}");
        let kind = message("[engine]\n\nprecision = 'f64'\n", &[]);
        assert!(kind.contains("line 3") && kind.contains("f64"), "{kind}");
        let syntax = message("[server\n", &[]);
        assert!(syntax.contains("line 1"), "{syntax}");
        let variable = message("", &[("DIFFUSION_SERVER_CONNECTIONS", "many")]);
        assert!(variable.starts_with("DIFFUSION_SERVER_CONNECTIONS: "), "{variable}");
        let zero = message("", &[("DIFFUSION_SERVER_THREADS", "0")]);
        assert!(zero.starts_with("DIFFUSION_SERVER_THREADS: "), "{zero}");
    }

    #[test]
    fn secrets_are_not_printed() {
        let url = ("DIFFUSION_SERVER_DATABASE", "postgres://me:secret@host/db");
        let loaded = loaded("", &[url], &[]).unwrap();
        assert_eq!(loaded.config.storage.database.as_ref().unwrap().expose(), url.1);
        let printed = format!("{loaded} {loaded:?}");
        assert!(!printed.contains("secret"), "{printed}");
        assert!(printed.contains("me:***@host/db"), "{printed}");
    }

    #[test]
    fn what_is_printed_can_be_read_back() {
        let printed = loaded("[server]\nhosts = ['a', 'b']\n", &[], &[]).unwrap().to_string();
        let config: Config = toml::from_str(&printed).unwrap();
        assert_eq!(config.server.hosts, ["a", "b"]);
    }

    #[test]
    fn every_variable_sets_one_setting() {
        let mut variables = Vec::new();
        let defaults = serde_json::to_value(Config::default()).unwrap();
        leaves(&defaults, "", &mut |name, _| variables.push(variable(&name)));
        let distinct: BTreeSet<_> = variables.iter().collect();
        assert_eq!(distinct.len(), variables.len(), "{variables:?}");
        // Kubernetes sets these for a service called diffusion-server.
        for foreign in ["DIFFUSION_SERVER_PORT", "DIFFUSION_SERVER_SERVICE_HOST"] {
            assert!(!variables.iter().any(|variable| variable == foreign), "{foreign}");
        }
    }
}
