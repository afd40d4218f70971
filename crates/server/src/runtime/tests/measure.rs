//! Images per second, many at once against one at a time.

use std::collections::VecDeque;
use std::time::Instant;

use super::*;

const IMAGES: u32 = 32;

/// Images per second with at most `in_flight` at once, and the mean batch.
async fn run(bench: &Bench, in_flight: usize) -> (f64, f64) {
    let before = bench.record.all("step").len();
    let started = Instant::now();
    let mut running = VecDeque::new();
    for i in 0..IMAGES {
        if running.len() == in_flight {
            image(running.pop_front().unwrap()).await;
        }
        let plan = Plan { height: 64, steps: 8, ..mixed()[i as usize % 16].clone() };
        running.push_back(bench.runtime.submit(task(i, plan)));
    }
    for events in running {
        image(events).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    let batches = &bench.record.all("step")[before..];
    let mean = batches.iter().sum::<u64>() as f64 / batches.len() as f64;
    (f64::from(IMAGES) / seconds, mean)
}

#[tokio::test]
#[ignore = "a measurement: cargo test -p diffusion-server --release -- --ignored --nocapture images_per_second"]
async fn images_per_second_of_sixteen_at_once_and_of_one_at_a_time() {
    let bench = |rows| With { rows, ..With::default() }.start();
    // Batches of one sample, of what pays, and of as many as there are, on models in memory.
    let benches = [("one", bench(Some(1))), ("measured", bench(None)), ("all", bench(Some(32)))];
    for (_, bench) in &benches {
        run(bench, 16).await;
    }
    for round in 1..=3 {
        let (one, _) = run(&benches[1].1, 1).await;
        println!("round {round}: {one:.2} images/s one at a time; with 16 in flight:");
        for (batch, bench) in &benches {
            let (many, mean) = run(bench, 16).await;
            let ratio = many / one;
            println!("  batch {batch}: {many:.2} images/s ({ratio:.2}×), {mean:.1} samples a step");
        }
    }
}

#[test]
#[ignore = "a measurement: cargo test -p diffusion-server --release -- --ignored --nocapture seconds_of_a_step"]
fn seconds_of_a_step_by_batch() {
    let engine = diffusion_engine::Runtime::new(Options::default()).unwrap();
    let model = Model::open(&engine, &pocket().source).unwrap();
    for side in [64, 128] {
        for samples in [1, 2, 4, 8, 16] {
            let plan = |seed| Plan { width: side, height: side, steps: 12, ..plan(seed) };
            let begin = |seed| model.begin(&plan(seed), None).unwrap();
            let mut batch: Vec<_> = (0..samples).map(begin).collect();
            let mut best = f64::INFINITY;
            for _ in 0..12 {
                let started = Instant::now();
                model.step(&mut batch).unwrap();
                best = best.min(started.elapsed().as_secs_f64());
            }
            let sample = 1000.0 * best / samples as f64;
            println!("{side}×{side}, batch of {samples}: {sample:.2} ms a sample");
        }
        let sample = model.begin(&Plan { width: side, height: side, steps: 1, ..plan(1) }, None);
        let started = Instant::now();
        model.finish(sample.unwrap()).unwrap();
        println!("{side}×{side}: {:.2} ms to decode", 1000.0 * started.elapsed().as_secs_f64());
    }
}
