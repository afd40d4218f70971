//! Weights and activations stay within what is allowed.

use super::*;

/// Tasks of three models, in turn.
async fn three_models(bench: &Bench) {
    let models = [pocket(), tiny("tiny-sd1"), tiny("tiny-sd2")];
    let mut events = Vec::new();
    for i in 0..9 {
        let model = models[i as usize % 3].clone();
        let plan = Plan { steps: 2, ..plan(u64::from(i)) };
        events.push(bench.runtime.submit(Task { model, owner: None, ..task(i, plan) }));
    }
    for events in events {
        image(events).await;
    }
}

#[tokio::test]
async fn models_take_turns_where_there_is_room_for_one() {
    let bench = With::default().start();
    three_models(&bench).await;
    let largest = bench.record.most("loaded");
    assert!(bench.record.all("evicted").is_empty());

    let bench = With { models_limit: Some(largest), ..With::default() }.start();
    three_models(&bench).await;
    assert!(!bench.record.all("evicted").is_empty());
    let peak = bench.engine.weights().peak();
    assert!(peak <= largest, "{peak} of {largest}");
}

#[tokio::test]
async fn prompts_that_change_and_run_on_stay_within_the_limit() {
    // What conditions them is most of what they take.
    let words: Vec<String> = (0..16).map(|word| format!("{word} BREAK x")).collect();
    let text = TextOptions { syntax: PromptSyntax::A1111, clip_skip: None };
    let plan = |i: u32| Plan {
        prompt: format!("a BREAK [{}]", words.join("|")),
        steps: 16,
        width: 64,
        height: 64,
        text,
        ..plan(u64::from(i))
    };
    let engine = diffusion_engine::Runtime::new(Options::default()).unwrap();
    let model = Model::open(&engine, &pocket().source).unwrap();
    // Each takes as much as several with short prompts.
    let short = Plan { prompt: "a".into(), ..plan(0) };
    let (long, short) = (model.memory(&plan(0), 1), model.memory(&short, 1));
    assert!(long.finish > short.finish);
    let options = Options { memory_limit: Some(long.total() + (64 << 10)), ..Options::default() };
    let limit = options.memory_limit.unwrap();
    let bench = With { options, ..With::default() }.start();
    let events: Vec<_> = (0..4).map(|i| bench.runtime.submit(task(i, plan(i)))).collect();
    for events in events {
        image(events).await;
    }
    let used = bench.engine.weights().peak() + bench.engine.meter().peak();
    assert!(used <= limit, "{used} of {limit}");
}

#[tokio::test]
async fn weights_and_activations_share_one_limit() {
    // Just enough for the largest of the tasks alone, with its model.
    let plans: Vec<Plan> =
        (0..8).map(|i| Plan { width: 64 + 32 * (i % 3), ..plan(u64::from(i)) }).collect();
    let engine = diffusion_engine::Runtime::new(Options::default()).unwrap();
    let model = Model::open(&engine, &pocket().source).unwrap();
    let needed = plans.iter().map(|plan| model.memory(plan, 1).total()).max().unwrap();
    let limit = needed + (64 << 10);
    let options = Options { memory_limit: Some(limit), ..Options::default() };
    let bench = With { options, ..With::default() }.start();
    let mut events = Vec::new();
    for (i, plan) in plans.iter().enumerate() {
        events.push(bench.runtime.submit(task(i as u32, plan.clone())));
    }
    for events in events {
        image(events).await;
    }
    let engine = &bench.engine;
    let used = engine.weights().peak() + engine.meter().peak();
    assert!(used <= limit, "{used} of {limit}");

    // Another model fits beside it, or takes its place.
    let other = Task { model: tiny("tiny-sd1"), ..task(20, plan(20)) };
    image(bench.runtime.submit(other)).await;

    let huge = Plan { width: 2048, height: 2048, ..plan(0) };
    let refused = outcome(bench.runtime.submit(task(30, huge))).await;
    let Outcome::Failed(failure) = refused else { panic!("{refused:?}") };
    assert!(failure.message.contains("memory limit"), "{}", failure.message);
    assert_eq!(failure.kind, FailureKind::Refused);
}
