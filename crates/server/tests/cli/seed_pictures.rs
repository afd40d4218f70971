//! Pictures from elsewhere, where they lie beside the repository.

use std::path::{Path, PathBuf};

use diffusion_engine::images::{Limits, decode_file};

use crate::run::{check_page, run};
use crate::support::{Place, tiny};

/// The pictures, or none where there is no such folder.
fn pictures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seed/images");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: there is no {}", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
}

#[test]
fn all_decode() {
    for path in pictures() {
        let decoded = decode_file(&path, &Limits::default());
        let picture = decoded.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(picture.width() > 0 && picture.height() > 0);
    }
}

#[test]
fn a_run_makes_images_of_some() {
    let pictures = pictures();
    let Some(last) = pictures.last() else { return };
    let place = Place::new();
    std::fs::create_dir(place.path("in")).unwrap();
    for path in [&pictures[0], &pictures[pictures.len() / 2], last] {
        std::fs::copy(path, place.path("in").join(path.file_name().unwrap())).unwrap();
    }
    run(&place, &["--model", &tiny("tiny-sd1"), "--seed", "7"]).succeeded();
    check_page(&place, "out", 3);
}
