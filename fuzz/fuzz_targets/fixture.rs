//! Django fixtures.

#![no_main]

use diffusion_jobs::fixtures::{read, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match read(bytes) {
        Ok(objects) => {
            let written = write(objects.clone());
            assert_eq!(read(written.as_bytes()).as_ref(), Ok(&objects), "{written}");
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.to_string().is_empty());
            }
        }
    }
});
