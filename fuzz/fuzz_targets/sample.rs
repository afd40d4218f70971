//! Stored samples: what follows the build and the model in one, which have to be right.

#![no_main]

use std::slice;

use diffusion_engine::Sample;
use diffusion_fuzz::{MODEL, SAMPLE_PREFIX};
use libfuzzer_sys::fuzz_target;

/// The longest side in pixels with which a sample is continued, so that a run is quick.
const MAX_SIDE: u32 = 32;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut sample) = Sample::restore(&MODEL, &[&SAMPLE_PREFIX, bytes].concat()) else { return };
    let (done, all) = sample.progress();
    assert!(done <= all);
    sample.clean_latent();
    let again = Sample::restore(&MODEL, &sample.save().unwrap()).unwrap();
    assert_eq!((again.plan(), again.progress()), (sample.plan(), (done, all)));
    let plan = sample.plan();
    if plan.width.max(plan.height) <= MAX_SIDE && !sample.is_done() {
        let _ = MODEL.step(slice::from_mut(&mut sample));
    }
});
