//! Images that are given to the server: checked, then kept in its own folder.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use diffusion_engine::images::{Limits, decode};
use diffusion_jobs::backup::PARTIAL;

use super::pictures;

/// The most bytes of a file's name: with a number behind it, it still fits any file system.
const MAX_NAME_BYTES: usize = 200;

/// Whether these bytes are an image, under the limits of decoding.
///
/// # Errors
/// Why they are not.
pub(crate) fn check(bytes: &[u8]) -> diffusion_engine::Result<()> {
    decode(bytes, &Limits::default()).map(drop)
}

/// Keeps an image in a folder under this name, or one like it where that is taken; returns the
/// name.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn store(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<String> {
    let context = || format!("cannot write into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(context)?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.prefix(PARTIAL).tempfile_in(folder).with_context(context)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).with_context(context)?;
    let name = plain(name);
    let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
    for number in 1_u32.. {
        let name = match (number, ending) {
            (1, _) => name.clone(),
            (_, "") => format!("{stem}-{number}"),
            _ => format!("{stem}-{number}.{ending}"),
        };
        match file.persist_noclobber(folder.join(&name)) {
            Ok(_) => return Ok(name),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                file = error.file;
            }
            Err(error) => return Err(error.error).with_context(context),
        }
    }
    anyhow::bail!("{}: every name like {name:?} is taken", folder.display())
}

/// The bytes of a file that is to become an image of the data set, if it is one.
///
/// # Errors
/// It cannot be read, or is none.
pub(crate) fn read_image(path: &Path) -> anyhow::Result<Vec<u8>> {
    let context = || path.display().to_string();
    anyhow::ensure!(path.is_file(), "{} is not a file", path.display());
    let bytes = pictures::read(path).with_context(context)?;
    check(&bytes).with_context(context)?;
    Ok(bytes)
}

/// A name that every file system takes and no shell minds: letters, digits, spaces and `-_.()`.
fn plain(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let keep = |c: char| if c.is_alphanumeric() || "-_.() ".contains(c) { c } else { '_' };
    let name: String = name.chars().map(keep).collect();
    let name = name.trim_matches([' ', '.']);
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut short = stem.to_owned();
    while short.len() + ending.len() > MAX_NAME_BYTES && short.pop().is_some() {}
    match (short.trim(), ending) {
        ("", _) => "image".into(),
        (stem, ending) if ending.is_empty() || ending.len() > 16 => stem.into(),
        (stem, ending) => format!("{stem}.{ending}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_made_plain() {
        for (name, expected) in [
            ("cat.png", "cat.png"),
            ("my cat (2).jpg", "my cat (2).jpg"),
            ("../../etc/passwd", "passwd"),
            ("C:\\cats\\ä.png", "ä.png"),
            ("a\n$b.png", "a__b.png"),
            (".hidden", "hidden"),
            ("", "image"),
            ("...", "image"),
        ] {
            assert_eq!(plain(name), expected, "{name:?}");
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("images");
        for (bytes, expected) in [("a", "cat.png"), ("b", "cat-2.png"), ("c", "cat-3.png")] {
            assert_eq!(store(&folder, "cat.png", bytes.as_bytes()).unwrap(), expected);
            assert_eq!(std::fs::read(folder.join(expected)).unwrap(), bytes.as_bytes());
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3, "nothing else is left");
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_of_a_file_in_the_folder(name in ".*") {
            let plain = plain(&name);
            prop_assert!(!plain.is_empty() && plain.len() <= MAX_NAME_BYTES + 1);
            prop_assert!(!plain.contains(['/', '\\', '\0']) && !plain.starts_with('.'));
        }
    }
}
