//! Copies of everything, made while the server works, and their return.
//!
//! The database is copied first, in one consistent read; then all files. Each is stored before its
//! row, and none that a row spoke of is removed meanwhile, so all that the copied rows speak of is
//! among them but the states of samples, without which an image begins anew.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::database::{Database, Location, Server};
use crate::{Error, Result};

/// What a backup says of itself, in `backup.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The release that made it.
    pub version: String,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// Files of artifacts, and images of the data set that were uploaded.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

const MANIFEST: &str = "backup.json";
const SQLITE: &str = "server.db";
const POSTGRES: &str = "server.dump";
const ARTIFACTS: &str = "artifacts";
const IMAGES: &str = "images";

/// What an image of the data set is called while it is being written.
pub const PARTIAL: &str = ".partial-";

/// Where the files lie of which a database speaks.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Results, pictures that jobs are drawn from, samples in flight.
    pub artifacts: PathBuf,
    /// Images of the data set that were uploaded.
    pub images: PathBuf,
}

/// Held while files of a folder are copied, or removed.
#[derive(Debug)]
pub struct FilesLock(#[allow(dead_code, reason = "held, not read")] File);

/// Takes the lock of a folder's files, if it is free.
///
/// # Errors
/// The lock cannot be opened.
pub fn try_lock(folder: &Path) -> Result<Option<FilesLock>> {
    let (file, path) = lock_file(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(FilesLock(file))),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(Error::io(path, error)),
    }
}

/// Waits for the lock of a folder's files, and for as long as a backup of them takes.
///
/// # Errors
/// The lock cannot be opened.
pub fn lock(folder: &Path) -> Result<FilesLock> {
    let (file, path) = lock_file(folder)?;
    file.lock().map_err(|error| Error::io(path, error))?;
    Ok(FilesLock(file))
}

/// The lock lies beside the folder: what a folder holds may be a user's.
fn lock_file(folder: &Path) -> Result<(File, PathBuf)> {
    let mut path = folder.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = File::create(&path).map_err(|error| Error::io(&path, error))?;
    Ok((file, path))
}

/// Copies database and files into a new folder.
///
/// # Errors
/// The folder exists and is not empty, or lies in one that is copied; something cannot be read or
/// written; for Postgres, `pg_dump` is missing or fails.
pub async fn backup(
    database: &Database,
    location: &Location,
    folders: &Folders,
    to: &Path,
) -> Result<Manifest> {
    new_folder(to)?;
    apart(to, folders)?;
    let Folders { artifacts, images } = folders.clone();
    let held = aside(move || Ok((lock(&artifacts)?, lock(&images)?))).await?;
    let kind = match (database, location) {
        (Database::Sqlite(pool), _) => {
            let copy = to.join(SQLITE);
            let into = sqlx::query("VACUUM INTO $1").bind(copy.display().to_string());
            into.execute(pool).await?;
            "sqlite"
        }
        (Database::Postgres(_), Location::Postgres(server)) => {
            let mut dump = Command::new("pg_dump");
            connect(&mut dump, server);
            dump.args(["--format=custom", "--file"]).arg(to.join(POSTGRES));
            run(dump).await?;
            "postgres"
        }
        (Database::Postgres(_), Location::Sqlite(_)) => {
            return Err(Error::Invalid("the database is not where it was said to be".into()));
        }
    };
    let (of_artifacts, of_images) = held;
    let (from, into) = (folders.images.clone(), to.join(IMAGES));
    let images = aside(move || {
        // Somebody may wait for it who takes an image out of the data set.
        let _held = of_images;
        copy(&from, &into, How::Anew)
    });
    let images = images.await?;
    let (from, into) = (folders.artifacts.clone(), to.join(ARTIFACTS));
    let artifacts = aside(move || {
        let _held = of_artifacts;
        copy(&from, &into, How::Linked)
    });
    let artifacts = artifacts.await?;
    let (files, bytes) = (images.files + artifacts.files, images.bytes + artifacts.bytes);
    let manifest =
        Manifest { version: env!("CARGO_PKG_VERSION").into(), database: kind.into(), files, bytes };
    // Written last: a folder without it is no whole backup.
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    let path = to.join(MANIFEST);
    fs::write(&path, text).map_err(|error| Error::io(path, error))?;
    Ok(manifest)
}

/// Brings a backup back, into a database and folders that are new or empty.
///
/// # Errors
/// There is something already; the folder holds no whole backup, or one of another kind of
/// database; something cannot be read or written.
pub async fn restore(from: &Path, location: &Location, folders: &Folders) -> Result<Manifest> {
    let path = from.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|error| Error::Invalid(format!("{}: {error}", path.display())))?;
    new_folder(&folders.artifacts)?;
    new_folder(&folders.images)?;
    match (location, &*manifest.database) {
        (Location::Sqlite(path), "sqlite") => {
            if path.exists() {
                let text = format!("{} exists: restore into a new place", path.display());
                return Err(Error::Conflict(text));
            }
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
            }
            fs::copy(from.join(SQLITE), path).map_err(|error| Error::io(path, error))?;
            File::open(path).and_then(|file| file.sync_all()).map_err(|e| Error::io(path, e))?;
        }
        (Location::Postgres(server), "postgres") => {
            let mut restore = Command::new("pg_restore");
            connect(&mut restore, server);
            // In one transaction, which fails where the tables exist.
            restore.args(["--exit-on-error", "--single-transaction", "--no-owner"]);
            let name = server.options.get_database().unwrap_or_default();
            restore.arg(format!("--dbname={name}"));
            restore.arg(from.join(POSTGRES));
            run(restore).await?;
        }
        (_, kind) => {
            let text =
                format!("the backup is of a {kind} database, and this is {}", location.shown());
            return Err(Error::Invalid(text));
        }
    }
    let (from, into) = (from.to_owned(), folders.clone());
    let copied = aside(move || {
        copy(&from.join(IMAGES), &into.images, How::Anew)?;
        copy(&from.join(ARTIFACTS), &into.artifacts, How::Linked)
    });
    copied.await?;
    Ok(manifest)
}

/// Makes a folder, or takes an empty one.
fn new_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::io(path, error))?;
    let mut entries = fs::read_dir(path).map_err(|error| Error::io(path, error))?;
    if entries.next().is_some() {
        return Err(Error::Conflict(format!("{} is not empty", path.display())));
    }
    Ok(())
}

/// Refuses a copy within what is copied, which would hold itself.
fn apart(to: &Path, folders: &Folders) -> Result<()> {
    let whole = |path: &Path| path.canonicalize().map_err(|error| Error::io(path, error));
    let target = whole(to)?;
    for folder in [&folders.artifacts, &folders.images] {
        if folder.exists() && target.starts_with(whole(folder)?) {
            // It was empty.
            let _ = fs::remove_dir(to);
            let (to, folder) = (to.display(), folder.display());
            let text = format!("{to} lies in {folder}, which is copied: choose another place");
            return Err(Error::Invalid(text));
        }
    }
    Ok(())
}

/// How files are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// By links where the file system allows: the store replaces files and never changes them, so
    /// a link keeps what it had.
    Linked,
    /// A user may change them in place.
    Anew,
}

/// What was copied.
#[derive(Debug, Default)]
struct Copied {
    files: u64,
    bytes: u64,
}

/// Copies a folder with the files and folders in it. Links to files are copied as those files;
/// links to folders, which may lead in circles, are left out, as is what is no file.
fn copy(from: &Path, to: &Path, how: How) -> Result<Copied> {
    let mut copied = Copied::default();
    fs::create_dir_all(to).map_err(|error| Error::io(to, error))?;
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(copied),
        entries => entries.map_err(|error| Error::io(from, error))?,
    };
    for entry in entries {
        let path = entry.map_err(|error| Error::io(from, error))?.path();
        let name = path.file_name().unwrap_or_default();
        let target = to.join(name);
        if path.is_dir() {
            if !path.is_symlink() {
                let below = copy(&path, &target, how)?;
                copied.files += below.files;
                copied.bytes += below.bytes;
            }
            continue;
        }
        if !path.is_file() || is_unfinished(&name.to_string_lossy(), how) {
            continue;
        }
        match copy_file(&path, &target, how) {
            Ok(()) => {}
            // A file that was being written has its final name now, or is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io(target, error)),
        }
        copied.files += 1;
        copied.bytes += target.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(copied)
}

/// What is being written has a name of its own until it is whole.
fn is_unfinished(name: &str, how: How) -> bool {
    match how {
        How::Linked => name.contains('#'),
        How::Anew => name.starts_with(PARTIAL),
    }
}

fn copy_file(from: &Path, to: &Path, how: How) -> io::Result<()> {
    if how == How::Linked && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// How Postgres' programs reach the database. The password is not told to other users.
fn connect(command: &mut Command, server: &Server) {
    let options = &server.options;
    let socket = options.get_socket().map(|socket| socket.display().to_string());
    command.env("PGHOST", socket.unwrap_or_else(|| options.get_host().into()));
    command.env("PGPORT", options.get_port().to_string());
    command.env("PGUSER", options.get_username());
    command.env("PGDATABASE", options.get_database().unwrap_or_default());
    if let Some(password) = &server.password {
        command.env("PGPASSWORD", password);
    }
    for (name, value) in &server.parameters {
        command.env(name, value);
    }
}

async fn run(mut command: Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ran = aside(move || Ok(command.output())).await?;
    let output = ran.map_err(|error| Error::Invalid(format!("{program}: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said.lines().next().unwrap_or("it failed");
        return Err(Error::Invalid(format!("{program}: {why}")));
    }
    Ok(())
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::Invalid(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn links_neither_lead_in_circles_nor_keep_a_name_alone() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::write(from.join("sub/a.png"), "a").unwrap();
        fs::write(from.join(".partial-x"), "half").unwrap();
        symlink("sub/a.png", from.join("link.png")).unwrap();
        symlink("gone.png", from.join("nowhere.png")).unwrap();
        symlink(&from, from.join("sub/up")).unwrap();
        let copied = copy(&from, &to, How::Anew).unwrap();
        assert_eq!((copied.files, copied.bytes), (2, 2));
        // Neither is what it was copied from any more.
        fs::write(from.join("sub/a.png"), "changed").unwrap();
        for file in ["sub/a.png", "link.png"] {
            assert_eq!(fs::read(to.join(file)).unwrap(), b"a", "{file}");
        }
        assert!(!to.join("link.png").is_symlink() && !to.join(".partial-x").exists());
    }

    #[test]
    fn what_the_url_says_reaches_the_programs() {
        let url = "postgres://u:p%40ss@h:5433/d?sslmode=verify-full&ssl-root-cert=/etc/a%20b.pem\
                   &sslcert=/c&sslkey=/k&application_name=mine&options=-c%20a=1&options[b]=2 3\
                   &statement-cache-capacity=5";
        let Location::Postgres(server) = url.parse().unwrap() else { panic!() };
        let mut command = Command::new("pg_dump");
        connect(&mut command, &server);
        let told: Vec<(String, String)> = command
            .get_envs()
            .map(|(name, value)| {
                let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
                (text(name), text(value.unwrap()))
            })
            .collect();
        let expected = [
            ("PGAPPNAME", "mine"),
            ("PGDATABASE", "d"),
            ("PGHOST", "h"),
            ("PGOPTIONS", "-c a=1 -c b=2\\ 3"),
            ("PGPASSWORD", "p@ss"),
            ("PGPORT", "5433"),
            ("PGSSLCERT", "/c"),
            ("PGSSLKEY", "/k"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/etc/a b.pem"),
            ("PGUSER", "u"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(told, expected);

        let url = "postgres:///d?host=/run/pg&user=u&password=p%26&dbname=e";
        let Location::Postgres(server) = url.parse().unwrap() else { panic!() };
        let mut command = Command::new("pg_dump");
        connect(&mut command, &server);
        let told = |name: &str| {
            command.get_envs().find(|(n, _)| *n == name).and_then(|(_, value)| value?.to_str())
        };
        assert_eq!(told("PGHOST"), Some("/run/pg"));
        assert_eq!((told("PGPASSWORD"), told("PGDATABASE")), (Some("p&"), Some("e")));
    }
}
