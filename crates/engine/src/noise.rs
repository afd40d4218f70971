//! Noise equal to `torch.randn` on a CPU generator.

use serde::{Deserialize, Serialize};

/// A generator of the noise that `torch.Generator("cpu").manual_seed(seed)` gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generator {}
