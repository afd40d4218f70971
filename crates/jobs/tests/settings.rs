//! What is kept under names, on both databases.

#![allow(clippy::unwrap_used)]

mod support;

use diffusion_jobs::Error;

use support::{Fresh, on_both};

on_both!(what_was_kept_is_there, a_change_that_is_refused_changes_nothing, changes_follow_another);

async fn what_was_kept_is_there(fresh: &Fresh) {
    let database = &fresh.database;
    assert_eq!(database.setting("a").await.unwrap(), None);
    database
        .change_setting("a", |before| {
            assert_eq!(before, "");
            Ok::<_, Error>("one".into())
        })
        .await
        .unwrap();
    database.change_setting("a", |before| Ok::<_, Error>(format!("{before} two"))).await.unwrap();
    assert_eq!(database.setting("a").await.unwrap().as_deref(), Some("one two"));
    assert_eq!(database.setting("b").await.unwrap(), None);
}

async fn a_change_that_is_refused_changes_nothing(fresh: &Fresh) {
    let database = &fresh.database;
    let refused = database
        .change_setting("a", |_| Err::<String, _>(Error::Invalid("no".into())))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    assert_eq!(database.setting("a").await.unwrap(), None);
}

async fn changes_follow_another(fresh: &Fresh) {
    let database = &fresh.database;
    let more = || database.change_setting("a", |before| Ok::<_, Error>(format!("{before}x")));
    let all = tokio::join!(more(), more(), more(), more());
    for done in [all.0, all.1, all.2, all.3] {
        done.unwrap();
    }
    assert_eq!(database.setting("a").await.unwrap().as_deref(), Some("xxxx"));
}
