//! Embeds the demo models and the sample pictures: lists their files for `src/embedded.rs`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The model that is taken where none is named: the first of the list.
const FIRST: &str = "pocket-paper-sd1";

fn main() -> io::Result<()> {
    let pocket = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default())
        .join("../../models/pocket")
        .canonicalize()?;
    let mut code = String::new();

    let weights = pocket.join("weights");
    code +=
        "/// Name of each demo model, and its files by their path within the model; the first is\n";
    code += "/// taken where none is named.\n";
    code += "pub(crate) static MODELS: &[(&str, Files)] = &[\n";
    let mut models = entries(&weights)?;
    models.retain(|path| path.is_dir());
    models.sort_by_key(|path| !path.ends_with(FIRST));
    for model in models {
        let _ = writeln!(code, "    ({:?}, &[", name(&model, &weights));
        list(&mut code, &model, &model)?;
        code += "    ]),\n";
    }
    code += "];\n";

    let samples = pocket.join("samples");
    code += "/// The sample pictures, by file name.\n";
    code += "pub(crate) static SAMPLES: Files = &[\n";
    list(&mut code, &samples, &samples)?;
    code += "];\n";

    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default()).join("embedded.rs");
    fs::write(out, code)
}

/// Lists all files below `folder` with their path relative to `root`.
fn list(code: &mut String, root: &Path, folder: &Path) -> io::Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            list(code, root, &path)?;
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
            let _ = writeln!(code, "        ({:?}, include_bytes!({path:?})),", name(&path, root));
        }
    }
    Ok(())
}

/// The entries of a folder but for hidden ones, sorted, so that the build is reproducible.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.retain(|path| !name(path, folder).starts_with('.'));
    entries.sort();
    Ok(entries)
}

fn name(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
