//! An image's bytes follow its plan, whatever happens around it.

use super::*;

/// Whether an action steps.
fn steps(action: &Action) -> bool {
    matches!(action, Action::Step(_))
}

#[tokio::test]
async fn mixed_batches_with_cancelled_neighbours_give_the_bytes_of_single_images() {
    let (mut gate, hook) = gate(|action| *action == Action::Begin(id(0)));
    let bench = With { hook, rows: Some(16), ..With::default() }.start();
    let first = bench.runtime.submit(task(0, mixed()[0].clone()));
    gate.reached().await;
    let mut events: Vec<Events> = vec![first];
    for (i, plan) in mixed().into_iter().enumerate().skip(1) {
        events.push(bench.runtime.submit(task(i as u32, plan)));
    }
    let endless = Plan { steps: 900, scheduler: Some(SchedulerKind::Ddim), ..plan(0) };
    let mut leaving: Vec<Events> =
        (20..24).map(|i| bench.runtime.submit(task(i, endless.clone()))).collect();
    gate.go_on();
    // Some leave before they have begun, some after their first step.
    drop(leaving.split_off(2));
    for events in &mut leaving {
        while !matches!(events.recv().await.unwrap(), Event::Step { .. }) {}
    }
    drop(leaving);
    for (plan, events) in mixed().iter().zip(events) {
        assert!(image(events).await == alone(plan), "{plan:?}");
    }
    assert!(bench.record.most("step") >= 8, "{:?}", bench.record.all("step"));
    assert_eq!(bench.record.all("loaded").len(), 1);
}

#[tokio::test]
async fn progress_tells_steps_and_warnings() {
    let (mut gate, hook) = gate(|action| !steps(action));
    let bench = With { hook, ..With::default() }.start();
    let long = Plan { prompt: "boat ".repeat(200), ..plan(0) };
    let mut events = bench.runtime.submit(task(0, long));
    gate.reached().await;
    gate.go_on();
    let begun = events.recv().await;
    assert!(
        matches!(&begun, Some(Event::Begun { done: 0, total: 5, warnings }) if warnings.len() == 1),
        "{begun:?}"
    );
    // PNDM repeats a step. The device waits before it decodes, with all steps told.
    gate.reached().await;
    let step = events.recv().await;
    assert!(
        matches!(step, Some(Event::Step { done: 5, total: 5, seconds }) if seconds > 0.0),
        "{step:?}"
    );
    gate.go_on();
    image(events).await;
}

#[tokio::test]
async fn suspended_images_go_on_elsewhere_with_the_same_bytes() {
    let (mut gate, hook) = gate(steps);
    let bench = With { hook, ..With::default() }.start();
    let plans: Vec<Plan> = (0..3).map(|i| Plan { steps: 3 + i, ..plan(i as u64) }).collect();
    let submit = |runtime: &Runtime, i: usize, resume| {
        runtime.submit(Task { resume, ..task(i as u32, plans[i].clone()) })
    };
    let mut events: Vec<Events> = (0..3).map(|i| submit(&bench.runtime, i, None)).collect();
    for _ in 0..4 {
        gate.reached().await;
        gate.go_on();
    }
    gate.reached().await;
    bench.runtime.drain(Duration::ZERO);
    let late = submit(&bench.runtime, 0, None);
    gate.go_on();
    assert!(matches!(outcome(late).await, Outcome::Suspended(None)), "too late");

    let second = With::default().start();
    for (i, events) in events.drain(..).enumerate() {
        let Outcome::Suspended(state) = outcome(events).await else { panic!("not suspended") };
        let (step, bytes) = state.map_or((0, None), |(step, bytes)| (step, Some(bytes)));
        let (seen, outcome) = all(submit(&second.runtime, i, bytes)).await;
        let begun = seen.iter().find_map(|event| match event {
            Event::Begun { done, .. } => Some(*done),
            _ => None,
        });
        // What is not read in time is replaced, but the beginning has no successor.
        assert_eq!(begun, Some(step));
        let Outcome::Image { image, .. } = outcome else { panic!("{outcome:?}") };
        assert!(image == alone(&plans[i]), "{i}");
    }
}

#[tokio::test]
async fn samples_that_can_finish_in_the_grace_period_do() {
    let (mut gate, hook) = gate(steps);
    let bench = With { hook, ..With::default() }.start();
    let events = bench.runtime.submit(task(0, plan(3)));
    gate.reached().await;
    bench.runtime.drain(Duration::from_secs(600));
    drop(gate);
    assert!(image(events).await == alone(&plan(3)));
}

#[tokio::test]
async fn a_checkpoint_continues_the_image_and_a_foreign_one_is_left_aside() {
    let bench = With { checkpoint_every: Duration::ZERO, ..With::default() }.start();
    let (seen, _) = all(bench.runtime.submit(task(0, plan(5)))).await;
    let last = seen.into_iter().rev().find_map(|event| match event {
        Event::Checkpoint { step, bytes } => Some((step, bytes)),
        _ => None,
    });
    let (step, bytes) = last.unwrap();
    let resumed = |plan: Plan, bytes: &[u8]| {
        bench.runtime.submit(Task { resume: Some(bytes.to_vec()), ..task(1, plan) })
    };
    let (seen, outcome) = all(resumed(plan(5), &bytes)).await;
    assert!(matches!(seen[0], Event::Begun { done, .. } if done == step), "{:?}", seen[0]);
    let Outcome::Image { image: whole, .. } = outcome else { panic!("{outcome:?}") };
    assert!(whole == alone(&plan(5)));
    // Broken bytes, and the state of another plan.
    assert!(image(resumed(plan(5), &bytes[..40])).await == whole);
    assert!(image(resumed(plan(6), &bytes)).await == alone(&plan(6)));
}

#[tokio::test]
async fn previews_show_what_the_image_will_be() {
    let bench = With::default().start();
    let wanted = Plan { steps: 12, scheduler: Some(SchedulerKind::Ddim), ..plan(2) };
    // The first image finds the colours out.
    let mut shown = Vec::new();
    while shown.is_empty() {
        let events = bench.runtime.submit(Task { previews: true, ..task(0, wanted.clone()) });
        let (seen, outcome) = all(events).await;
        let Outcome::Image { image, .. } = outcome else { panic!("{outcome:?}") };
        let previews = seen.into_iter().filter_map(|event| match event {
            Event::Preview(picture) => Some(picture),
            _ => None,
        });
        shown = previews.map(|preview| (preview, image.clone())).collect();
    }
    let (preview, image) = shown.pop().unwrap();
    assert_eq!(preview.dimensions(), (16, 16));
    let small = diffusion_engine::images::resize(&image, 16, 16).unwrap();
    let error = |value: &dyn Fn(usize) -> f64| {
        let pairs = small.as_raw().iter().enumerate();
        pairs.map(|(i, level)| (f64::from(*level) - value(i)).powi(2)).sum::<f64>()
    };
    let mean = small.as_raw().iter().map(|v| f64::from(*v)).sum::<f64>() / (3.0 * 256.0);
    let (ours, flat) = (error(&|i| f64::from(preview.as_raw()[i])), error(&|_| mean));
    assert!(ours < 0.5 * flat, "{ours} against {flat} of a plain picture");
}
