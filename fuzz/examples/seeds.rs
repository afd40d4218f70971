//! Writes the seeds of each target into a folder: `seeds FOLDER`. What the repository's tests
//! have is taken from there.

use std::path::{Path, PathBuf};
use std::{env, fs, io, slice};

use diffusion_engine::SchedulerKind;
use diffusion_fuzz::{MODEL, MODEL_FILES, SAMPLE_PREFIX, TINY, UNET, UNET_INDEX, plan};

/// Larger pictures only slow a run.
const MAX_PICTURE_BYTES: u64 = 8 << 10;

const FIXTURES: [&str; 2] = [
    r#"[{"model": "image_model_domain.images", "pk": "ab900031-4256-4de9-a2c6-4ef948db6b4a",
"fields": {"install_ts": "2023-05-15 01:14:00", "update_ts": "2023-05-15T01:15:00.250+02:00",
"name": "cat.jpg", "owner": "LEONARDO_AI", "path": "images/cat.jpg", "meta": {"a": [1.5, null]},
"description": null, "created_by_id": 1, "updated_by": null}}]"#,
    r#"[{"model": "image_model_domain.dlmodels", "pk": "ab900031-4256-4de9-a2c6-4ef948db6b4a",
"fields": {"install_ts": "2023-05-15T01:14:00Z", "update_ts": "2023-05-15", "name": "m",
"owner": "runwayml", "hosted": "HUGGING_FACE", "meta": {}, "description": "d"}}]"#,
];

const JOBS: [&str; 4] = [
    r#"{"kind": "txt2img", "prompt": "a cat", "steps": 20, "seed": 7, "width": 512, "height": 8}"#,
    r#"{"kind": "img2img", "prompts": ["a", "b"], "model": "m", "init_image": "cat.png",
"strength": 0.5, "guidance": 7.5, "scheduler": "euler", "count": 2, "priority": "low"}"#,
    r#"{"kind": "random", "prompts": ["a"], "models": ["m", "n"], "negative_prompt": "b",
"images": ["data:image/png;base64,iVBORw0KGgo=", "cat.png"], "priority": "high"}"#,
    r#"{"kind": "img2img", "prompt": "a", "images": ["data:,AAAA"], "strength": 1e-3}"#,
];

const INFOTEXTS: [&str; 3] = [
    "a cat\nNegative prompt: b\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, \
     Seed: 1, Size: 512x8, Model: m, Denoising strength: 0.8, Clip skip: 2, Lora hashes: \"a: b\"",
    "\u{0}\u{0}{\"3\": {\"class_type\": \"KSampler\", \"inputs\": {\"seed\": 1, \"positive\": [\"6\", 0]}}}",
    "a (cat:1.2) [b:c:0.5] [d|e] BREAK \\(f\\)",
];

const LOCATIONS: [&str; 6] = [
    "sqlite:///var/lib/diffusion/server.db",
    "sqlite:b.db",
    "postgres://user:a%40b@host:5433/name?sslmode=require&application_name=a",
    "postgresql://[::1]/name?host=/run/postgresql&options=-c%20a%3Db",
    "postgres://%2Frun%2Fpostgresql/name?statement-cache-capacity=10&port=1",
    "postgres:///name?user=u&password=p&dbname=d&options[search_path]=a",
];

/// Of a file with four bytes of values.
const HEADER: &[u8] = br#"{"a": {"dtype": "F16", "shape": [2, 1], "data_offsets": [0, 4]}}"#;

const INDEX: &str = r#"{"weight_map": {"conv_in.bias": "a.safetensors"}}"#;

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).expect("a folder"));
    images(&folder.join("image"))?;
    model(&folder.join("model"))?;
    sample(&folder.join("sample"))?;
    texts(&folder.join("fixture"), &FIXTURES)?;
    texts(&folder.join("job"), &JOBS)?;
    texts(&folder.join("infotext"), &INFOTEXTS)?;
    texts(&folder.join("prompt"), &INFOTEXTS)?;
    texts(&folder.join("location"), &LOCATIONS)
}

fn images(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(Path::new(TINY).join("../decode"))? {
        let entry = entry?;
        if entry.metadata()?.len() <= MAX_PICTURE_BYTES {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn model(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (index, (which, file)) in (b'a'..).zip(MODEL_FILES).enumerate() {
        let path = Path::new(TINY).join(file);
        let content = match file {
            UNET if index + 1 == MODEL_FILES.len() => header(&fs::read(path)?),
            UNET => [&(HEADER.len() as u64).to_le_bytes(), HEADER, &[0; 4]].concat(),
            UNET_INDEX => INDEX.into(),
            _ if path.exists() => fs::read(path)?,
            _ => b"{}".to_vec(),
        };
        let seed = [slice::from_ref(&which), &content].concat();
        fs::write(folder.join(char::from(which).to_string()), seed)?;
    }
    Ok(())
}

/// The JSON in a safetensors file.
fn header(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk().expect("a length");
    rest[..u64::from_le_bytes(*length) as usize].to_vec()
}

/// A sample of each scheduler, two steps on.
fn sample(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for kind in SchedulerKind::ALL {
        let mut sample = MODEL.begin(&plan(Some(kind)), None).expect("a sample");
        for _ in 0..2 {
            MODEL.step(slice::from_mut(&mut sample)).expect("a step");
        }
        let saved = sample.save().expect("its bytes");
        fs::write(folder.join(kind.to_string()), &saved[SAMPLE_PREFIX.len()..])?;
    }
    Ok(())
}

fn texts(folder: &Path, texts: &[&str]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (index, text) in texts.iter().enumerate() {
        fs::write(folder.join(index.to_string()), text)?;
    }
    Ok(())
}
