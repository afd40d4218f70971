//! The JSON of jobs, up to what can be checked without looking anything up.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, unused_imports)]
#[path = "../../crates/server/src/inpaint/mod.rs"]
mod inpaint;

/// As in the server's binary, where it is private to HTTP.
#[path = "."]
mod http {
    use diffusion_jobs::{Error, Request};

    #[path = "../../crates/server/src/http/v1/jobs/choices.rs"]
    mod choices;
    // What only the handlers use is not used here.
    #[allow(dead_code)]
    #[path = "../../crates/server/src/http/v1/jobs/request.rs"]
    mod request;

    /// The request in a body; `None` where it is not the JSON of one.
    pub(crate) fn read(body: &[u8]) -> Option<Result<Request, Error>> {
        let job: request::NewJob = serde_json::from_slice(body).ok()?;
        let written = serde_json::to_vec(&job).unwrap();
        let again: request::NewJob = serde_json::from_slice(&written).unwrap();
        let [request, again] = [job, again].map(Request::try_from);
        if let (Ok(request), Ok(again)) = (&request, &again) {
            assert_eq!(request, again);
        }
        assert_eq!(request.is_ok(), again.is_ok());
        Some(request)
    }
}

fuzz_target!(|bytes: &[u8]| {
    match http::read(bytes) {
        Some(Ok(request)) => {
            if request.check().is_ok() {
                assert!(!request.prompts.is_empty() && request.count > 0);
            }
        }
        Some(Err(error)) => assert!(!error.to_string().is_empty()),
        None => {}
    }
});
