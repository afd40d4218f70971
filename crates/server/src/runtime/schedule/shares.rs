//! Who has had how much of the device: start-time fair queueing.

use std::collections::HashMap;
use std::hash::Hash;

/// The device time that each of some parties was given, in nanoseconds. Whoever has had least is
/// to be served next; then no two that want all they can get drift apart by more than the longest
/// action.
///
/// Being idle earns nothing: who comes (back) starts level with the least served of those present.
/// Nor does being content: one that is served in every batch, and yet has less than others who
/// have more in it, stays at most two of the longest actions behind them. Otherwise it could save
/// up credit and stop the others for as long.
#[derive(Debug)]
pub(super) struct Shares<K> {
    accounts: HashMap<K, Account>,
    /// What newcomers start with at least.
    floor: u64,
    /// The longest action of late.
    longest: u64,
}

#[derive(Debug, Default)]
struct Account {
    served: u64,
    /// Tasks of this party.
    present: usize,
}

/// How many of the longest actions one can be behind another.
const CREDIT: u64 = 2;
/// The longest action is forgotten over this many times its length.
const MEMORY: u64 = 16;

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { accounts: HashMap::new(), floor: 0, longest: 0 }
    }
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// A task of `party` comes.
    pub(super) fn enter(&mut self, party: &K) {
        self.raise_floor();
        let account = self.accounts.entry(party.clone()).or_default();
        if account.present == 0 {
            account.served = account.served.max(self.floor);
        }
        account.present += 1;
    }

    /// A task of `party` goes.
    pub(super) fn leave(&mut self, party: &K) {
        if let Some(account) = self.accounts.get_mut(party) {
            account.present = account.present.saturating_sub(1);
        }
        self.raise_floor();
        let floor = self.floor;
        self.accounts.retain(|_, account| account.present > 0 || account.served > floor);
    }

    /// What `party` was given.
    pub(super) fn served(&self, party: &K) -> u64 {
        self.accounts.get(party).map_or(self.floor, |account| account.served)
    }

    /// An action of `nanos` was done, and these had these parts in it.
    pub(super) fn charge(&mut self, nanos: u64, parts: impl IntoIterator<Item = (K, u64)>) {
        for (party, part) in parts {
            if let Some(account) = self.accounts.get_mut(&party) {
                account.served = account.served.saturating_add(part);
            }
        }
        self.longest = nanos.max(self.longest.saturating_sub(nanos / MEMORY));
        let most = self.present().max().unwrap_or(0);
        let least = most.saturating_sub(self.longest.saturating_mul(CREDIT));
        for account in self.accounts.values_mut().filter(|account| account.present > 0) {
            account.served = account.served.max(least);
        }
    }

    fn present(&self) -> impl Iterator<Item = u64> {
        self.accounts.values().filter(|a| a.present > 0).map(|account| account.served)
    }

    fn raise_floor(&mut self) {
        // With nobody there, all begin anew on equal terms.
        let all = self.accounts.values().map(|account| account.served);
        let floor = self.present().min().or(all.max()).unwrap_or(0);
        self.floor = self.floor.max(floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_has_no_credit_and_keeps_its_debt() {
        let mut shares = Shares::default();
        shares.enter(&"a");
        shares.charge(100, [("a", 100)]);
        shares.enter(&"b");
        assert_eq!(shares.served(&"b"), 100, "level with a");
        shares.charge(100, [("a", 100)]);
        shares.leave(&"a");
        shares.enter(&"a");
        assert_eq!(shares.served(&"a"), 200, "going away does not help");
        assert_eq!(shares.served(&"b"), 100);
    }

    #[test]
    fn a_device_that_was_idle_forgets() {
        let mut shares = Shares::default();
        shares.enter(&"a");
        shares.charge(100, [("a", 100)]);
        shares.leave(&"a");
        assert!(shares.accounts.is_empty());
        shares.enter(&"b");
        shares.enter(&"a");
        assert_eq!(shares.served(&"a"), shares.served(&"b"));
    }

    #[test]
    fn content_saves_up_no_more_than_two_actions() {
        let mut shares = Shares::default();
        shares.enter(&"many");
        shares.enter(&"one");
        for _ in 0..1000 {
            shares.charge(16, [("many", 15), ("one", 1)]);
        }
        assert_eq!(shares.served(&"many") - shares.served(&"one"), 32);
    }
}
