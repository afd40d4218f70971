//! Whose turn it is: fair between owners, then by priority, then by age.
//!
//! Each waiting image belongs to a round. An owner's images take one round each, beginning with
//! the round that is being served; rounds are served in order. So whoever asks for one image waits
//! for one image of each other owner, however many those have waiting. (Start-time fair queueing,
//! Goyal, Vin and Cheng 1996, with an image as the unit of work.)
//!
//! The first image of an owner who has nothing outstanding goes to a lane of its own, so that it
//! finds a worker's place free while another owner's images hold the others.

/// River queue of images whose owner has nothing else outstanding.
pub(crate) const FIRST: &str = "first";
/// River queue of all other images.
pub(crate) const REST: &str = "rest";

/// What decides the places of new images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// The lowest round that waits, of any owner.
    pub(crate) current: Option<i64>,
    /// The highest round of the owner's waiting images of the same priority or a higher one.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves a queue of (owner, priority) in the order of rounds, each entry added in turn.
    fn order(asked: &[(char, i32)]) -> String {
        let mut waiting: Vec<(i64, i32, usize, char)> = Vec::new();
        for (age, &(owner, priority)) in asked.iter().enumerate() {
            let own = waiting.iter().filter(|w| w.3 == owner);
            let standing = Standing {
                current: waiting.iter().map(|w| w.0).min(),
                own: own.clone().filter(|w| w.1 <= priority).map(|w| w.0).max(),
                outstanding: own.clone().next().is_some(),
            };
            waiting.push((standing.place(0).0, priority, age, owner));
        }
        waiting.sort();
        waiting.iter().map(|w| w.3).collect()
    }

    #[test]
    fn one_image_does_not_wait_behind_anothers_hundred() {
        let asked: Vec<_> = "aaaaaab".chars().map(|c| (c, 1)).collect();
        assert_eq!(order(&asked), "abaaaaa");
        let asked: Vec<_> = "aaaabbbc".chars().map(|c| (c, 1)).collect();
        assert_eq!(order(&asked), "abcababa");
    }

    #[test]
    fn priority_counts_among_ones_own() {
        let mut asked = vec![('a', 1); 3];
        asked.push(('A', 1));
        let standing = Standing { current: Some(4), own: None, outstanding: true };
        assert_eq!(standing.place(0), (4, REST), "nothing of the same priority waits");
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
