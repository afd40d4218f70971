//! In which order images are taken.

use diffusion_jobs::Priority;
use uuid::Uuid;

use crate::bench::{Bench, Hand};
use crate::support::{Fresh, on_both};

on_both!(owners_take_turns, ones_own_priorities, a_free_place_for_the_newcomer);

/// Works all that waits, one at a time, and names the owners in order.
async fn order(hand: &mut Hand, owners: &[Uuid], count: usize) -> String {
    let mut order = String::new();
    for _ in 0..count {
        let claimed = hand.next().await;
        let owner = owners.iter().position(|o| Some(*o) == claimed.attempt.owner).unwrap();
        order.push(['a', 'b', 'c'][owner]);
        claimed.publish().await;
    }
    order
}

async fn owners_take_turns(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let owners = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    for (owner, images) in [(0, 8), (1, 3), (2, 1)] {
        bench.ask_as(Some(owners[owner]), Priority::Normal, images).await;
    }
    // Places for one image of each lane: the order within the lanes is what rounds decide.
    let mut hand = Hand::start(fresh, 1).await;
    let order = order(&mut hand, &owners, 12).await;
    let place = |owner: char, nth: usize| {
        order.char_indices().filter(|(_, c)| *c == owner).nth(nth).unwrap().0
    };
    assert!(place('c', 0) < place('a', 3), "{order}");
    assert!(place('b', 2) < place('a', 5), "{order}");
}

async fn ones_own_priorities(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let low = bench.ask_as(None, Priority::Low, 3).await;
    let high = bench.ask_as(None, Priority::High, 1).await;
    let mut hand = Hand::start(fresh, 1).await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        let claimed = hand.next().await;
        jobs.push(claimed.attempt.job);
        claimed.publish().await;
    }
    assert!(jobs[..2].contains(&high), "{jobs:?}");
    assert_eq!(jobs.iter().filter(|job| **job == low).count(), 3);
}

/// Whoever has nothing outstanding finds a place, though another's images hold all the others.
async fn a_free_place_for_the_newcomer(fresh: &Fresh) {
    let bench = Bench::new(fresh).await;
    let [a, b] = [Uuid::new_v4(), Uuid::new_v4()];
    let mut hand = Hand::start(fresh, 2).await;
    bench.ask_as(Some(a), Priority::Normal, 20).await;
    let held = [hand.next().await, hand.next().await, hand.next().await];
    assert!(held.iter().all(|claimed| claimed.attempt.owner == Some(a)));
    bench.ask_as(Some(b), Priority::Normal, 1).await;
    let claimed = hand.next().await;
    assert_eq!(claimed.attempt.owner, Some(b));
}
