//! Whose turn it is: fair between owners, then by priority, then by age.
//!
//! Each waiting image has a turn, which is River's row, in a round. An owner's turns take one round
//! each, beginning with the round that is being served; rounds are served in order. So whoever asks
//! for one image waits for one image of each other owner, however many those have waiting.
//! (Start-time fair queueing, Goyal, Vin and Cheng 1996, with an image as the unit of work.)
//!
//! Which of an owner's images is made in a turn is decided when the turn comes
//! (`work/choose.rs`): so an image of high priority need not push all others one turn back.
//!
//! The first image of an owner who has nothing outstanding goes to a lane of its own, so that it
//! finds a worker's place free while another owner's images hold the others.

use uuid::Uuid;

/// River queue of images whose owner has nothing else outstanding.
pub(crate) const FIRST: &str = "first";
/// River queue of all other images.
pub(crate) const REST: &str = "rest";

/// What decides the places of new images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// The lowest round that waits, of any owner.
    pub(crate) current: Option<i64>,
    /// The highest round of the owner's waiting images.
    pub(crate) own: Option<i64>,
    /// Whether the owner has anything waiting or running.
    pub(crate) outstanding: bool,
}

impl Standing {
    /// The round and the lane of the owner's `n`th new image.
    pub(crate) fn place(self, n: usize) -> (i64, &'static str) {
        let current = self.current.unwrap_or(0);
        let first = self.own.map_or(current, |own| current.max(own.saturating_add(1)));
        let round = first.saturating_add(i64::try_from(n).unwrap_or(i64::MAX));
        (round, if n == 0 && !self.outstanding { FIRST } else { REST })
    }
}

/// Of what waits for each owner, how many images are made before the last of `new` ones of `owner`.
pub(crate) fn turns_before(owner: Uuid, new: i64, waiting: &[(Uuid, i64)]) -> i64 {
    let own = waiting.iter().find(|(other, _)| *other == owner).map_or(0, |(_, count)| *count);
    let turns = own.saturating_add(new);
    let others = waiting.iter().filter(|(other, _)| *other != owner);
    own + others.map(|(_, count)| turns.min(*count)).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_count_as_far_as_they_have_turns() {
        let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
        let waiting = [(a, 100), (b, 2)];
        assert_eq!(turns_before(c, 1, &waiting), 2);
        assert_eq!(turns_before(c, 10, &waiting), 12);
        assert_eq!(turns_before(a, 10, &waiting), 102);
        assert_eq!(turns_before(b, 1, &waiting), 5);
        assert_eq!(turns_before(b, 1, &[]), 0);
    }

    /// Serves a queue of owners in the order of rounds, each entry added in turn.
    fn order(asked: &str) -> String {
        let mut waiting: Vec<(i64, usize, char)> = Vec::new();
        for (age, owner) in asked.chars().enumerate() {
            let own = waiting.iter().filter(|w| w.2 == owner);
            let standing = Standing {
                current: waiting.iter().map(|w| w.0).min(),
                own: own.clone().map(|w| w.0).max(),
                outstanding: own.clone().next().is_some(),
            };
            waiting.push((standing.place(0).0, age, owner));
        }
        waiting.sort();
        waiting.iter().map(|w| w.2).collect()
    }

    #[test]
    fn one_image_does_not_wait_behind_anothers_hundred() {
        assert_eq!(order("aaaaaab"), "abaaaaa");
        assert_eq!(order("aaaabbbc"), "abcababa");
    }

    #[test]
    fn ones_own_turns_follow_each_other() {
        let standing = Standing { current: Some(4), own: Some(9), outstanding: true };
        assert_eq!(standing.place(2), (12, REST));
    }

    #[test]
    fn the_first_goes_to_its_own_lane() {
        let standing = Standing { current: Some(4), own: None, outstanding: false };
        assert_eq!(standing.place(0), (4, FIRST));
        assert_eq!(standing.place(1), (5, REST));
    }
}
