//! Tokenizers, for what they alone can tell before an image is begun: how long its prompts are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use diffusion_engine::tokenizer::{self, Tokenizer};
use diffusion_engine::{ModelInfo, Plan, Result, Source};
use diffusion_jobs::artifacts::sha256;

/// The tokenizers that are open, by the SHA-256 of their files: most models have the same one.
#[derive(Debug, Default)]
pub(super) struct Tokenizers(Mutex<HashMap<String, Arc<Tokenizer>>>);

impl Tokenizers {
    fn of(&self, source: &Source) -> Result<Arc<Tokenizer>> {
        let mut all = Vec::new();
        for file in tokenizer::FILES {
            let bytes = source.read(&format!("{}/{file}", tokenizer::FOLDER))?;
            all.extend(bytes.as_ref().map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
            all.extend(bytes.iter().flat_map(|bytes| bytes.iter()));
        }
        let hash = sha256(&all);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tokenizer) = open.get(&hash) {
            return Ok(tokenizer.clone());
        }
        let tokenizer = Arc::new(Tokenizer::open(source, tokenizer::FOLDER)?);
        open.insert(hash, tokenizer.clone());
        Ok(tokenizer)
    }
}

/// What a model makes of words.
#[derive(Debug)]
pub(super) struct Words {
    source: Source,
    tokenizers: Arc<Tokenizers>,
    /// Opened when the first prompt is read.
    opened: OnceLock<Arc<Tokenizer>>,
}

impl Words {
    pub(super) fn new(source: Source, tokenizers: Arc<Tokenizers>) -> Self {
        Self { source, tokenizers, opened: OnceLock::new() }
    }

    /// Reads the prompts of a plan; gives warnings of what is cut off.
    ///
    /// # Errors
    /// The tokenizer is broken, or a prompt asks for what cannot be done.
    pub(super) fn read(&self, info: &ModelInfo, plan: &Plan) -> Result<Vec<String>> {
        let tokenizer = match self.opened.get() {
            Some(tokenizer) => tokenizer,
            None => {
                let tokenizer = self.tokenizers.of(&self.source)?;
                self.opened.get_or_init(|| tokenizer)
            }
        };
        info.read_prompts(tokenizer, plan)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn source(model: &str) -> Source {
        let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens");
        Source::Folder(goldens.join(model))
    }

    #[test]
    fn equal_files_share_a_tokenizer() {
        let all = Tokenizers::default();
        let first = all.of(&source("tiny-sd1")).unwrap();
        assert!(Arc::ptr_eq(&first, &all.of(&source("tiny-sd1")).unwrap()));
        assert!(!Arc::ptr_eq(&first, &all.of(&source("tiny-sd2")).unwrap()));
        assert!(all.of(&source("none")).is_err());
    }
}
