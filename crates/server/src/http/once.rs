//! `Idempotency-Key` on the routes that make rows: a repeated request is answered as the first was.

use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use diffusion_jobs::idempotency::{Idempotency, Once, Remembered};
use diffusion_jobs::records::{Record, Records};
use uuid::Uuid;

use super::{AppState, Problem, Result};

/// What clients are told of the header on these routes.
pub(super) const DESCRIPTION: &str = "Any text of at most 255 characters. The same request under \
    the same key is carried out once, and answered as it was then; keys are kept for 48 hours";

/// A request that makes a row, and where such rows are.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) place: &'static str,
    pub(super) owner: Option<Uuid>,
    pub(super) key: Option<Idempotency>,
}

impl Making {
    /// The answer to an earlier request, if there was one.
    ///
    /// # Errors
    /// 409 where the key was used for another request; the database.
    pub(super) async fn before(&self, state: &AppState) -> Result<Option<Response>> {
        let Some(key) = &self.key else { return Ok(None) };
        let found = state.database.remembered(self.owner, key).await?;
        Ok(found.map(|found| self.again(found)))
    }

    /// Adds the row, unless an equal request has just done so.
    pub(super) async fn insert<R: Record>(
        &self,
        rows: Records<'_, R>,
        record: R,
        id: Uuid,
        body: String,
    ) -> Inserted {
        let inserted = match &self.key {
            None => rows.insert(record).await.map(|_| None),
            Some(key) => {
                let once = Once { owner: self.owner, key, answer: Some(&body) };
                rows.insert_once(record, once).await
            }
        };
        match inserted {
            Ok(None) => Inserted::New(self.made(id, body)),
            Ok(Some(before)) => Inserted::Before(self.again(before)),
            Err(error) => Inserted::Refused(error.into()),
        }
    }

    fn again(&self, before: Remembered) -> Response {
        self.made(before.made, before.answer.unwrap_or_default())
    }

    fn made(&self, id: Uuid, body: String) -> Response {
        let json = [(CONTENT_TYPE, "application/json")];
        let mut response = (StatusCode::CREATED, json, body).into_response();
        if let Ok(location) = HeaderValue::from_str(&format!("{}/{id}", self.place)) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

/// What became of a row.
#[derive(Debug)]
pub(super) enum Inserted {
    /// It is in.
    New(Response),
    /// An equal request was quicker.
    Before(Response),
    /// It is not in.
    Refused(Problem),
}

impl Inserted {
    /// The answer.
    ///
    /// # Errors
    /// The row is not in.
    pub(super) fn answer(self) -> Result<Response> {
        match self {
            Self::New(response) | Self::Before(response) => Ok(response),
            Self::Refused(problem) => Err(problem),
        }
    }
}
