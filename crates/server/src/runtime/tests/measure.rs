//! Images per second, many at once against one at a time.

use std::time::Instant;

use super::*;

#[tokio::test]
#[ignore = "a measurement: cargo test -p diffusion-server --release -- --ignored --nocapture images_per_second"]
async fn images_per_second_of_sixteen_at_once_and_of_one_at_a_time() {
    let tasks = || {
        (0..48).map(|i| {
            let mixed = mixed()[i as usize % 16].clone();
            task(i, Plan { height: 64, steps: 8, ..mixed })
        })
    };
    for round in ["first", "second"] {
        let bench = With::default().start();
        image(bench.runtime.submit(task(99, plan(0)))).await;
        let started = Instant::now();
        for task in tasks() {
            image(bench.runtime.submit(task)).await;
        }
        let one = 48.0 / started.elapsed().as_secs_f64();

        let started = Instant::now();
        let mut running = std::collections::VecDeque::new();
        for task in tasks() {
            if running.len() == 16 {
                image(running.pop_front().unwrap()).await;
            }
            running.push_back(bench.runtime.submit(task));
        }
        for events in running {
            image(events).await;
        }
        let many = 48.0 / started.elapsed().as_secs_f64();
        let batches = bench.record.all("step");
        let mean = batches.iter().sum::<u64>() as f64 / batches.len() as f64;
        println!(
            "{round}: {one:.2} images/s one at a time, {many:.2} with 16 in flight ({:.2}×); mean batch {mean:.1}",
            many / one
        );
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
