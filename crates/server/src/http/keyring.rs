//! The keys of those who ask: looked up, remembered for a moment, and counted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diffusion_jobs::keys::{self, Key};
use diffusion_jobs::{Database, Result};
use uuid::Uuid;

/// How long a key is taken for valid without asking the database; so long a revoked one may live.
const REMEMBERED: Duration = Duration::from_secs(2);

/// Keys that were used lately. Only keys that exist are remembered, so that there are no more of
/// them than in the database.
#[derive(Debug)]
pub(crate) struct Keyring {
    /// Requests of one key in a minute; 0 for any number.
    per_minute: u32,
    known: Mutex<HashMap<String, (Key, Instant)>>,
    buckets: Mutex<HashMap<Uuid, Bucket>>,
}

impl Keyring {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute, known: Mutex::default(), buckets: Mutex::default() }
    }

    /// The key that this text is, if it was made here and not revoked.
    ///
    /// # Errors
    /// The database fails.
    pub(super) async fn find(&self, database: &Database, secret: &str) -> Result<Option<Key>> {
        let hash = keys::hash(secret);
        if let Some((key, since)) = lock(&self.known).get(&hash)
            && since.elapsed() < REMEMBERED
        {
            return Ok(Some(key.clone()));
        }
        let asked = Instant::now();
        let key = keys::find(database, secret).await?.filter(|key| key.revoked_at.is_none());
        let mut known = lock(&self.known);
        match &key {
            Some(key) => known.insert(hash, (key.clone(), asked)),
            None => known.remove(&hash),
        };
        Ok(key)
    }

    /// Takes no key with this id for valid without asking the database.
    pub(super) fn forget(&self, id: Uuid) {
        lock(&self.known).retain(|_, (key, _)| key.id != id);
        lock(&self.buckets).remove(&id);
    }

    /// Counts a request of this key; says how long to wait where there were too many.
    pub(super) fn count(&self, key: Uuid) -> std::result::Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let rate = f64::from(self.per_minute) / 60.0;
        let most = f64::from(self.per_minute);
        let now = Instant::now();
        lock(&self.buckets)
            .entry(key)
            .or_insert(Bucket { tokens: most, at: now })
            .take(now, rate, most)
    }
}

/// What one key has saved up.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Takes one token; `rate` more come each second, up to `most`.
    fn take(&mut self, now: Instant, rate: f64, most: f64) -> std::result::Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(most);
        self.at = now;
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / rate));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let start = Instant::now();
        let mut bucket = Bucket { tokens: 3.0, at: start };
        let mut take =
            |seconds: f64| bucket.take(start + Duration::from_secs_f64(seconds), 0.5, 3.0);
        assert_eq!([take(0.0), take(0.0), take(0.0)], [Ok(()); 3]);
        assert_eq!(take(0.0), Err(Duration::from_secs(2)));
        assert_eq!(take(1.0), Err(Duration::from_secs(1)));
        assert_eq!(take(2.0), Ok(()));
        // No more than three are saved up.
        assert_eq!([take(99.0), take(99.0), take(99.0)], [Ok(()); 3]);
        assert!(take(99.0).is_err());
    }

    #[test]
    fn keys_are_counted_apart() {
        let keyring = Keyring::new(1);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(keyring.count(one), Ok(()));
        assert!(keyring.count(one).is_err());
        assert_eq!(keyring.count(other), Ok(()));
        assert!((0..9).all(|_| Keyring::new(0).count(one).is_ok()));
    }
}
