//! API keys: made, found by what was handed out, revoked, on both databases.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use diffusion_jobs::Error;
use diffusion_jobs::keys::{self, Scope};
use uuid::Uuid;

use support::{Fresh, on_both};

on_both!(
    a_key_is_found_by_what_was_handed_out,
    a_revoked_key_allows_nothing,
    keys_are_listed_in_the_order_of_their_making,
    names_and_scopes_have_limits,
    the_first_key_is_made_once,
);

fn scopes(scopes: &[Scope]) -> BTreeSet<Scope> {
    scopes.iter().copied().collect()
}

async fn a_key_is_found_by_what_was_handed_out(fresh: &Fresh) {
    let database = &fresh.database;
    let (key, secret) =
        keys::create(database, " gallery ", scopes(&[Scope::Generate])).await.unwrap();
    assert_eq!(key.name, "gallery");
    assert_eq!(secret.expose().len(), "dsk_".len() + 64);
    assert!(!format!("{secret:?}").contains(&secret.expose()[4..]));
    assert_eq!(keys::find(database, secret.expose()).await.unwrap(), Some(key.clone()));
    assert!(key.allows(Scope::Read) && key.allows(Scope::Generate) && !key.allows(Scope::Admin));
    // What is stored is not what is handed out.
    for other in [&keys::hash(secret.expose()), "", "dsk_", &secret.expose()[..67]] {
        assert_eq!(keys::find(database, other).await.unwrap(), None, "{other}");
    }
}

async fn a_revoked_key_allows_nothing(fresh: &Fresh) {
    let database = &fresh.database;
    let (key, secret) = keys::create(database, "a", scopes(&Scope::ALL)).await.unwrap();
    let revoked = keys::revoke(database, key.id).await.unwrap();
    assert!(revoked.revoked_at.is_some());
    assert!(!revoked.allows(Scope::Read));
    assert_eq!(keys::find(database, secret.expose()).await.unwrap().unwrap(), revoked);
    assert_eq!(keys::revoke(database, key.id).await.unwrap(), revoked, "again changes nothing");
    let unknown = keys::revoke(database, Uuid::nil()).await.unwrap_err();
    assert!(matches!(unknown, Error::NotFound { what: "key", .. }), "{unknown}");
}

async fn keys_are_listed_in_the_order_of_their_making(fresh: &Fresh) {
    let mut made = Vec::new();
    for name in ["b", "a", "c"] {
        made.push(keys::create(&fresh.database, name, scopes(&[Scope::Read])).await.unwrap().0);
    }
    assert_eq!(keys::list(&fresh.database).await.unwrap(), made);
}

async fn names_and_scopes_have_limits(fresh: &Fresh) {
    let database = &fresh.database;
    for name in ["", " ", "a\nb", &"x".repeat(101)] {
        let error = keys::create(database, name, scopes(&[Scope::Read])).await.unwrap_err();
        assert!(error.to_string().starts_with("name: "), "{error}");
    }
    let error = keys::create(database, "a", scopes(&[])).await.unwrap_err();
    assert!(error.to_string().starts_with("scopes: "), "{error}");
    assert!(keys::list(database).await.unwrap().is_empty());
}

async fn the_first_key_is_made_once(fresh: &Fresh) {
    let database = &fresh.database;
    keys::create(database, "reader", scopes(&[Scope::Read])).await.unwrap();
    let make = || {
        let database = database.clone();
        tokio::spawn(async move { keys::create_first(&database).await.unwrap() })
    };
    let attempts = [make(), make(), make()];
    let mut made = Vec::new();
    for attempt in attempts {
        made.extend(attempt.await.unwrap());
    }
    let [(key, _)] = &made[..] else { panic!("{made:?}") };
    assert!(key.allows(Scope::Admin));
    // One that was revoked administers nothing.
    keys::revoke(database, key.id).await.unwrap();
    assert!(keys::create_first(database).await.unwrap().is_some());
}
