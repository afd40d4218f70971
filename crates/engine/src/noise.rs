//! Noise equal to `torch.randn` on a CPU generator.
//!
//! PyTorch draws normals in two ways (`aten/src/ATen/native/cpu/DistributionTemplates.h`), and
//! which one depends on how many are asked for at once: fewer than 16 come from a scalar
//! Box–Muller transform in double precision that keeps its second value for the next call, 16 and
//! more from a transform over blocks of 16 single-precision uniforms. Both read the same
//! Mersenne Twister (MT19937, Matsumoto & Nishimura 1998).

use serde::{Deserialize, Serialize};

/// Words of MT19937's state.
const N: usize = 624;
/// Distance between the words that are mixed when the state is renewed.
const M: usize = 397;
/// Values that PyTorch transforms together, and the fewest for which it does.
const BLOCK: usize = 16;

/// A generator of the noise that `torch.Generator("cpu").manual_seed(seed)` gives.
///
/// The state is serialisable: a generator read back continues with the very same values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct Generator {
    words: Box<[u32; N]>,
    /// Next word to hand out; `N` when all are used up.
    next: usize,
    /// Bits of the second value of the last scalar pair, if not handed out yet.
    spare: Option<u64>,
}

/// [`Generator`] as written: plain words, so that any format holds it bit for bit.
#[derive(Serialize, Deserialize)]
struct Saved {
    words: Vec<u32>,
    next: u16,
    spare: Option<u64>,
}

impl From<Generator> for Saved {
    fn from(generator: Generator) -> Self {
        // `next` is at most N, which fits.
        let next = generator.next as u16;
        Self { words: generator.words.to_vec(), next, spare: generator.spare }
    }
}

impl TryFrom<Saved> for Generator {
    type Error = String;

    fn try_from(saved: Saved) -> Result<Self, String> {
        let words: Box<[u32; N]> =
            saved.words.into_boxed_slice().try_into().map_err(|words: Box<[u32]>| {
                format!("a generator has {N} words, {} found", words.len())
            })?;
        let next = usize::from(saved.next);
        if next > N {
            return Err(format!("a generator's position is at most {N}, {next} found"));
        }
        Ok(Self { words, next, spare: saved.spare })
    }
}

impl Generator {
    /// A generator at the beginning of the sequence for `seed`, of which PyTorch uses the low
    /// 32 bits only.
    pub fn new(seed: u64) -> Self {
        let mut words = Box::new([0; N]);
        words[0] = seed as u32;
        for i in 1..N {
            let last = words[i - 1];
            words[i] = (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { words, next: N, spare: None }
    }

    /// The next `n` values of the standard normal distribution, as `torch.randn(n)` gives them
    /// (within single-precision rounding of the logarithm, sine and cosine).
    ///
    /// The values depend on how the draws are grouped: two draws of 8 are not one of 16.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        if n < BLOCK {
            return (0..n).map(|_| self.scalar_normal() as f32).collect();
        }
        let mut values: Vec<f32> = (0..n).map(|_| self.uniform()).collect();
        let mut blocks = values.chunks_exact_mut(BLOCK);
        blocks.by_ref().for_each(normal_block);
        if !blocks.into_remainder().is_empty() {
            // What does not fill a block is filled by a fresh one over the last 16 values.
            let last = &mut values[n - BLOCK..];
            last.fill_with(|| self.uniform());
            normal_block(last);
        }
        values
    }

    /// One normal value by the double-precision path, which makes two at a time.
    fn scalar_normal(&mut self) -> f64 {
        if let Some(bits) = self.spare.take() {
            return f64::from_bits(bits);
        }
        let angle = std::f64::consts::TAU * self.uniform_f64();
        let radius = (-2.0 * (-self.uniform_f64()).ln_1p()).sqrt();
        self.spare = Some((radius * angle.sin()).to_bits());
        radius * angle.cos()
    }

    /// Uniform in [0, 1) with 24 bits.
    fn uniform(&mut self) -> f32 {
        (self.next_u32() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    /// Uniform in [0, 1) with 53 bits of two words, the higher one drawn first.
    fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.next_u32());
        let low = u64::from(self.next_u32());
        let bits = ((high << 32) | low) & ((1 << 53) - 1);
        bits as f64 / (1_u64 << 53) as f64
    }

    /// The next tempered word of MT19937.
    fn next_u32(&mut self) -> u32 {
        if self.next >= N {
            self.renew();
        }
        let mut y = self.words[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Renews all words.
    fn renew(&mut self) {
        for i in 0..N {
            let y = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % N] & 0x7fff_ffff);
            let twist = if y & 1 == 0 { 0 } else { 0x9908_b0df };
            self.words[i] = self.words[(i + M) % N] ^ (y >> 1) ^ twist;
        }
        self.next = 0;
    }
}

/// Turns a block of uniforms into normals: the first half gives the radii, the second the angles.
///
/// PyTorch rounds every intermediate to single precision, here too.
fn normal_block(block: &mut [f32]) {
    let (first, second) = block.split_at_mut(BLOCK / 2);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * (1.0 - *a).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * *b).sin_cos();
        *a = radius * cos;
        *b = radius * sin;
    }
}
