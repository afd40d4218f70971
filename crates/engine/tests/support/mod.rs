//! What the suites share: golden tensors and comparisons with stated tolerances.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // every suite uses its own part

use std::path::PathBuf;

use safetensors::SafeTensors;

/// The folder of golden files.
pub fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// One golden file of tensors.
pub struct Goldens(Vec<u8>);

impl Goldens {
    /// Opens `{name}.safetensors`.
    pub fn open(name: &str) -> Self {
        Self(std::fs::read(goldens().join(format!("{name}.safetensors"))).unwrap())
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    /// The values of an `f32` tensor.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let data = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).data();
        data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    /// The values of an `i64` tensor.
    pub fn ints(&self, name: &str) -> Vec<i64> {
        let tensors = self.tensors();
        let data = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).data();
        data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
    }

    /// The bytes of a `u8` tensor.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.tensors().tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).data().to_vec()
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.tensors().tensor(name).unwrap().shape().to_vec()
    }

    /// The planes of a `[1, channels, height, width]` tensor, with height and width.
    pub fn image(&self, name: &str) -> (Vec<f32>, (usize, usize)) {
        let shape = self.shape(name);
        (self.floats(name), (shape[2], shape[3]))
    }
}

/// The largest difference over the largest value of `want`.
pub fn relative_error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len(), "lengths differ");
    let scale = want.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
    let worst = got
        .iter()
        .zip(want)
        .map(|(g, w)| (g - w).abs())
        .fold(0.0_f32, |m, d| if d.is_nan() { f32::INFINITY } else { m.max(d) });
    worst / scale
}

/// Fails where `got` is further from `want` than `tolerance` of its largest value.
pub fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    let error = relative_error(got, want);
    println!("{what}: {error:.1e}");
    assert!(error <= tolerance, "{what}: off by {error:e}, {tolerance:e} is allowed");
}

/// Fails unless `got` is within 1/255 of `want` on 99.9 % of the values and within 3/255 on all.
pub fn assert_images_close(what: &str, got: &[u8], want: &[u8]) {
    assert_eq!(got.len(), want.len(), "{what}: sizes differ");
    let differences = || got.iter().zip(want).map(|(g, w)| g.abs_diff(*w));
    let worst = differences().max().unwrap_or(0);
    let beyond = differences().filter(|&d| d > 1).count();
    let differing = differences().filter(|&d| d > 0).count();
    println!("{what}: worst {worst}/255, {differing} of {} values differ", got.len());
    assert!(worst <= 3, "{what}: off by {worst}/255");
    assert!(
        beyond * 1000 <= got.len(),
        "{what}: {beyond} of {} values off by more than 1",
        got.len()
    );
}
