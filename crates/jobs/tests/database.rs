//! The database itself: its tables, made once whoever comes first.

#![allow(clippy::unwrap_used)]

mod support;

use diffusion_jobs::Database;

use support::postgres::Postgres;
use support::{Fresh, on_both};

on_both!(opened_again);

async fn opened_again(fresh: &Fresh) {
    let again = Database::open(&fresh.location).await.unwrap();
    again.ping().await.unwrap();
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
