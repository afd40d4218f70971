//! candle's Stable Diffusion 1.5 networks in `f32` on the CPU.
//!
//! `bench/peers/README.md` says what arguments it takes and what it prints. Its threads are those
//! of `RAYON_NUM_THREADS`.

mod figures;
mod tasks;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use figures::Figures;
use tasks::Inputs;

fn main() -> anyhow::Result<()> {
    let start = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let pair = arguments.chunks(2).find(|pair| pair[0] == name);
        pair.and_then(|pair| pair.get(1)).with_context(|| format!("{name} VALUE is missing"))
    };
    let count = |name| anyhow::Ok(value(name)?.parse::<usize>()?);
    let (warm_ups, repeats) = (count("--warm-ups")?, count("--repeats")?);
    if std::env::var("RAYON_NUM_THREADS").ok().as_ref() != Some(value("--threads")?) {
        bail!("RAYON_NUM_THREADS is not what --threads says");
    }

    let inputs = Inputs::open(PathBuf::from(value("--inputs")?))?;
    let mut work = tasks::prepare(value("--task")?, value("--model")?.as_ref(), inputs)?;
    let mut figures = Figures::new(start.elapsed().as_secs_f64());
    let mut result = None;
    for run in 0..warm_ups + repeats {
        result = figures.time(run < warm_ups, &mut work)?;
    }
    if let Some(result) = result {
        let values = result.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(value("--output")?, bytes)?;
    }
    println!("{}", figures.json());
    Ok(())
}
