//! The database itself: its tables, made once whoever comes first.

#![allow(clippy::unwrap_used)]

mod support;

use diffusion_jobs::Database;
use diffusion_jobs::database::Location;

use support::postgres::Postgres;
use support::{Fresh, on_both};

on_both!(opened_again);

async fn opened_again(fresh: &Fresh) {
    let again = Database::open(&fresh.location).await.unwrap();
    again.ping().await.unwrap();
    let again = Database::open_existing(&fresh.location).await.unwrap();
    again.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Location::Sqlite(folder.path().join("typo/server.db"));
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    let mut locations = vec![missing, Location::Sqlite(empty)];
    if let Some(server) = Postgres::shared() {
        locations.push(server.location().await);
    }
    for location in locations {
        for _ in 0..2 {
            let found = Database::open_existing(&location).await.unwrap();
            assert!(found.is_none(), "{}", location.shown());
        }
    }
    assert!(!folder.path().join("typo").exists());
}

#[tokio::test]
async fn many_make_the_tables_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", folder.path().join("server.db").display());
    let server = Postgres::shared();
    let mut urls = vec![sqlite];
    if let Some(server) = &server {
        urls.push(server.database().await);
    }
    for url in urls {
        let open = || {
            let location = url.parse().unwrap();
            tokio::spawn(async move { Database::open(&location).await.map(drop) })
        };
        for opened in [open(), open(), open()] {
            opened.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let Some(server) = Postgres::start() else { return };
    let database = Database::open(&server.location().await).await.unwrap();
    server.crash();
    let error = database.ping().await.unwrap_err();
    assert!(error.is_outage(), "{error}");
    server.resume();
    database.ping().await.unwrap();
}
