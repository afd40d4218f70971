//! The files of a model's folder: the first byte says which one of the tests' tiny model is
//! replaced by the others.

#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs, io, process};

use diffusion_engine::tokenizer::Tokenizer;
use diffusion_engine::{Model, ModelInfo, Options, Plan, SchedulerKind, Source};
use diffusion_fuzz::{MODEL_FILES, TINY, UNET, UNET_INDEX, plan};
use libfuzzer_sys::{Corpus, fuzz_target};

/// A folder for each of [`MODEL_FILES`], which has the others of the tiny model.
static FOLDERS: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let scratch = env::temp_dir().join(format!("diffusion-fuzz-model-{}", process::id()));
    let folder = |(index, own): (usize, &&str)| {
        let folder = scratch.join(index.to_string());
        link_files(Path::new(TINY), &folder, Path::new(own)).unwrap();
        folder
    };
    MODEL_FILES.iter().enumerate().map(folder).collect()
});

/// Bytes of the tiny UNet's file behind its header.
static DATA: LazyLock<u64> = LazyLock::new(|| {
    let file = fs::read(Path::new(TINY).join(UNET)).unwrap();
    file.len() as u64 - 8 - u64::from_le_bytes(*file.first_chunk().unwrap())
});

/// Links the files below `from` into a folder, but for `without`, and for the UNet's weights where
/// their index is to be read.
fn link_files(from: &Path, to: &Path, without: &Path) -> io::Result<()> {
    for part in ["", "unet", "vae", "text_encoder", "scheduler", "tokenizer"] {
        fs::create_dir_all(to.join(part))?;
        for entry in fs::read_dir(from.join(part))? {
            let relative = Path::new(part).join(entry?.file_name());
            let index = without == Path::new(UNET_INDEX);
            let own = relative == without || index && relative == Path::new(UNET);
            if from.join(&relative).is_file() && !own {
                std::os::unix::fs::symlink(from.join(&relative), to.join(&relative))?;
            }
        }
    }
    Ok(())
}

/// Reads all that can be read without computing.
fn read(source: &Source) {
    let info = ModelInfo::read(source);
    if let Ok(info) = &info {
        let (height, width) = info.native_size();
        assert!(height > 0 && width > 0 && info.least_side() > 0 && info.multiple() > 0);
        for (index, kind) in SchedulerKind::ALL.into_iter().map(Some).chain([None]).enumerate() {
            let steps = [1, 7, 50, 1000][index % 4];
            let _ = info.check(&Plan { width: 512, height: 512, steps, ..plan(kind) });
        }
    }
    if Model::weight_bytes_of(&Options::default(), source).is_ok() {
        info.unwrap();
    }
}

fn read_tokenizer(source: &Source) {
    if let Ok(tokenizer) = Tokenizer::open(source, "tokenizer")
        && let Ok(encoding) = tokenizer.encode("A cat's  dance, 2 é猫 <|endoftext|> 🐈\u{0}")
    {
        assert_eq!(encoding.ids.len(), tokenizer.max_length());
    }
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((which, content)) = bytes.split_first() else { return Corpus::Reject };
    let index = usize::from(which.wrapping_sub(b'a'));
    let Some(name) = MODEL_FILES.get(index) else { return Corpus::Reject };
    let path = FOLDERS[index].join(name);
    if index == MODEL_FILES.len() - 1 {
        let length = content.len() as u64;
        fs::write(&path, [&length.to_le_bytes(), content].concat()).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len(8 + length + *DATA).unwrap();
    } else {
        fs::write(&path, content).unwrap();
    }
    let source = Source::Folder(FOLDERS[index].clone());
    if name.starts_with("tokenizer/") {
        read_tokenizer(&source)
    } else {
        read(&source)
    }
    Corpus::Keep
});
