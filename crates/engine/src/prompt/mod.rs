//! AUTOMATIC1111's prompt syntax: from a prompt to the texts of each step, their weights, their
//! chunks of tokens, and the context that cross-attention sees.
//!
//! In the order in which the web UI (1.10) reads a prompt:
//!
//! 1. [`whole`]: comments are dropped; what joins prompts or loads networks is refused.
//! 2. [`schedule`]: `[from:to:when]` and `[a|b]` become the texts of all steps.
//! 3. [`attention`]: each text becomes parts with a weight, `BREAK` between them.
//! 4. [`chunks`]: parts become chunks of 75 tokens, each with a begin and an end of its own.
//! 5. [`embed`]: chunks are encoded, weighted and joined.
//!
//! The first three are pure functions of text. Whatever they are given, they take time in
//! proportion to its length (times the evaluations where it changes at each), and end with a result
//! or a [`PromptError`].

pub mod attention;
pub mod chunks;
pub mod embed;
mod error;
mod scan;
pub mod schedule;
pub mod whole;

pub use attention::Part;
pub use chunks::Chunk;
pub use embed::{Texts, Turn};
pub use error::PromptError;
pub use schedule::Schedule;
pub use whole::Role;

/// The most brackets that are open at a time.
pub const MAX_NESTING: usize = 64;
/// The most places at which a prompt changes.
pub const MAX_FORMS: usize = 256;
/// The most different texts that a prompt changes into.
pub const MAX_TEXTS: usize = 64;
/// The most chunks of one text.
pub const MAX_CHUNKS: usize = 32;
/// The most chunks of all texts of a prompt, which a sample holds encoded (about 8 MiB each).
pub const MAX_HELD: usize = 64;
/// The largest weight of a part, either way.
pub const MAX_WEIGHT: f64 = 1000.0;

/// Reads a prompt for a run of `evaluations`: its texts, each as weighted parts, and whose turn it
/// is when. Needs no model.
///
/// # Errors
/// The prompt asks for what cannot be done, or is beyond a limit.
pub fn read(
    prompt: &str,
    role: Role,
    evaluations: usize,
) -> Result<(Schedule, Vec<Vec<Part>>), PromptError> {
    let schedule = schedule::read(&whole::read(prompt, role)?, evaluations)?;
    let parts =
        schedule.texts.iter().map(|text| attention::read(text)).collect::<Result<_, _>>()?;
    Ok((schedule, parts))
}
