//! What goes wrong costs those that it concerns, and nobody else.

use super::*;

fn failed(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("no failure but {other:?}"),
    }
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_fails_its_tasks_and_is_tried_again() {
    let folder = tempfile::TempDir::new().unwrap();
    let place = folder.path().join("model");
    let later = || ModelRef { name: "later".into(), source: Source::Folder(place.clone()) };
    let bench = With::default().start();
    let good = bench.runtime.submit(task(0, plan(0)));
    let bad = [1, 2].map(|i| bench.runtime.submit(Task { model: later(), ..task(i, plan(1)) }));
    for events in bad {
        let failure = failed(outcome(events).await);
        assert_eq!(failure.kind, FailureKind::Load);
        assert!(failure.message.starts_with("model later: "), "{}", failure.message);
        assert!(failure.message.contains("model_index.json"), "{}", failure.message);
    }
    image(good).await;
    let Source::Folder(real) = pocket().source else { panic!() };
    std::os::unix::fs::symlink(real, &place).unwrap();
    image(bench.runtime.submit(Task { model: later(), ..task(1, plan(1)) })).await;
}

#[tokio::test]
async fn plans_that_the_model_refuses_fail_with_its_words() {
    let bench = With::default().start();
    let odd = Plan { width: 60, ..plan(0) };
    let no_image = Task { initial: None, ..task(1, Plan { strength: Some(0.5), ..plan(0) }) };
    for (task, words) in [(task(0, odd), "width 60"), (no_image, "initial image")] {
        let failure = failed(outcome(bench.runtime.submit(task)).await);
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_panic_fails_its_batch_and_the_model_is_read_anew() {
    let poison = |action: &Action| {
        assert!(!(matches!(action, Action::Step(_)) && action.ids().contains(&id(9))), "poison");
    };
    let bench = With { hook: Arc::new(poison), ..With::default() }.start();
    // Of another size, the others are in no batch with it.
    let bad = bench.runtime.submit(task(9, Plan { width: 128, ..plan(9) }));
    let good: Vec<Events> =
        (0..4).map(|i| bench.runtime.submit(task(i, plan(u64::from(i))))).collect();
    let failure = failed(outcome(bad).await);
    assert_eq!(failure.kind, FailureKind::Panicked);
    assert!(failure.message.contains("poison"), "{}", failure.message);
    for (i, events) in good.into_iter().enumerate() {
        assert!(image(events).await == alone(&plan(i as u64)));
    }
    image(bench.runtime.submit(task(5, plan(5)))).await;
    assert_eq!(bench.record.all("loaded").len(), 2);
}

#[tokio::test]
async fn a_panic_in_a_batch_costs_nobody_but_whom_it_meets_alone() {
    let poison = |action: &Action| {
        let Action::Step(ids) = action else { return };
        assert!(!ids.contains(&id(2)), "poison");
    };
    let bench = With { rows: Some(8), hook: Arc::new(poison), ..With::default() }.start();
    let all: Vec<Events> =
        (0..4).map(|i| bench.runtime.submit(task(i, plan(u64::from(i))))).collect();
    for (i, events) in all.into_iter().enumerate() {
        if i == 2 {
            let failure = failed(outcome(events).await);
            assert_eq!(failure.kind, FailureKind::Panicked);
        } else {
            assert!(image(events).await == alone(&plan(i as u64)), "as if nothing had happened");
        }
    }
}

/// What breaks down only with others is made alone.
#[tokio::test]
async fn a_batch_that_breaks_down_is_made_one_by_one() {
    let together = |action: &Action| assert!(action.ids().len() < 2, "poison");
    let bench = With { rows: Some(8), hook: Arc::new(together), ..With::default() }.start();
    let all: Vec<Events> =
        (0..3).map(|i| bench.runtime.submit(task(i, plan(u64::from(i))))).collect();
    for (i, events) in all.into_iter().enumerate() {
        assert!(image(events).await == alone(&plan(i as u64)));
    }
    assert!(bench.record.most("step") == 1);
}

#[tokio::test]
async fn a_task_takes_the_place_of_an_earlier_one_with_its_id() {
    let (mut gate, hook) = gate(|action| matches!(action, Action::Step(_)));
    let bench = With { hook, ..With::default() }.start();
    let first = bench.runtime.submit(task(0, plan(0)));
    gate.reached().await;
    let second = bench.runtime.submit(task(0, plan(1)));
    drop(gate);
    assert!(matches!(outcome(first).await, Outcome::Cancelled));
    assert!(image(second).await == alone(&plan(1)));
}

#[tokio::test]
async fn the_last_handle_suspends_what_is_in_flight() {
    let (mut gate, hook) = gate(|action| matches!(action, Action::Step(_)));
    let bench = With { hook, ..With::default() }.start();
    let events = bench.runtime.submit(task(0, plan(0)));
    gate.reached().await;
    drop(bench);
    drop(gate);
    let outcome = outcome(events).await;
    assert!(matches!(outcome, Outcome::Suspended(Some((1, _)))), "{outcome:?}");
}
