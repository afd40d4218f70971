//! Prompts in AUTOMATIC1111's syntax.

#![no_main]

use diffusion_engine::prompt::{Role, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, &str)| {
    let (steps, negative, text) = input;
    let steps = usize::from(steps) + 1;
    let role = if negative { Role::Negative } else { Role::Prompt };
    match read(text, role, steps) {
        Ok((schedule, texts)) => {
            assert_eq!(schedule.texts.len(), texts.len());
            assert_eq!(schedule.sections.last().map(|(end, _)| *end), Some(steps));
            assert!(schedule.sections.iter().all(|(_, text)| *text < texts.len()));
            assert!(schedule.sections.windows(2).all(|pair| pair[0].0 < pair[1].0));
            assert!(texts.iter().flatten().all(|part| part.weight.is_finite()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
