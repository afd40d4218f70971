//! The activation that models pass from op to op, with a layout only the ops know.

use super::meter::Meter;

/// The logical shape of a [`Tensor`]: a batch of images, or of sequences (`width` 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Batch rows.
    pub batch: usize,
    /// Rows of the image, or tokens of the sequence.
    pub height: usize,
    /// Columns of the image; 1 for a sequence.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl Shape {
    /// Values of one batch row.
    pub fn row(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Pixels of an image, or tokens of a sequence.
    pub fn tokens(&self) -> usize {
        self.height * self.width
    }
}

/// A batch of images or sequences in `f32`.
///
/// Model code sees shapes and ops only. The layout (channels last, batch rows one after the
/// other) is the ops' own affair, and may change without any model changing.
#[derive(Debug)]
pub struct Tensor {
    shape: Shape,
    /// At least as many as the shape asks for.
    values: Vec<f32>,
    meter: Meter,
}

impl Drop for Tensor {
    fn drop(&mut self) {
        let count = self.shape.batch * self.shape.row();
        self.meter.give_back(std::mem::take(&mut self.values), count);
    }
}

impl Tensor {
    /// A tensor to be filled, or one of no values at all where the meter plans.
    pub(super) fn empty(shape: Shape, meter: &Meter) -> Self {
        let values = meter.buffer(shape.batch * shape.row());
        Self { shape, values, meter: meter.clone() }
    }

    /// A batch of sequences of `[tokens, channels]` values each.
    pub fn sequences(rows: &[&[f32]], channels: usize, meter: &Meter) -> Self {
        let tokens = rows.first().map_or(0, |row| row.len() / channels);
        Self::interleaved_images(rows, channels, tokens, 1, meter)
    }

    /// A batch of images from planes `[channels, height, width]` each, the layout of latents.
    pub fn images(
        rows: &[&[f32]],
        channels: usize,
        height: usize,
        width: usize,
        meter: &Meter,
    ) -> Self {
        let mut out = Self::empty(Shape { batch: rows.len(), height, width, channels }, meter);
        if !out.is_planned() {
            for (i, row) in rows.iter().enumerate() {
                let target = out.row_mut(i);
                for (channel, plane) in row.chunks_exact(height * width).enumerate() {
                    for (pixel, &value) in plane.iter().enumerate() {
                        target[pixel * channels + channel] = value;
                    }
                }
            }
        }
        out
    }

    /// A batch of images from `[height, width, channels]` each, the layout of pixels.
    pub fn interleaved_images(
        rows: &[&[f32]],
        channels: usize,
        height: usize,
        width: usize,
        meter: &Meter,
    ) -> Self {
        let mut out = Self::empty(Shape { batch: rows.len(), height, width, channels }, meter);
        if !out.is_planned() {
            for (i, row) in rows.iter().enumerate() {
                out.row_mut(i).copy_from_slice(row);
            }
        }
        out
    }

    /// A batch with shape and meter but without values, to plan with.
    pub fn planned(shape: Shape, meter: &Meter) -> Self {
        debug_assert!(meter.is_planning());
        Self::empty(shape, meter)
    }

    /// One batch row as planes `[channels, height, width]`. Zeros where there are no values.
    pub fn planes(&self, row: usize) -> Vec<f32> {
        let Shape { channels, .. } = self.shape;
        let pixels = self.shape.tokens();
        let mut out = vec![0.0; self.shape.row()];
        if !self.is_planned() {
            for (pixel, values) in self.row(row).chunks_exact(channels).enumerate() {
                for (channel, &value) in values.iter().enumerate() {
                    out[channel * pixels + pixel] = value;
                }
            }
        }
        out
    }

    /// One batch row as `[height, width, channels]`, or `[tokens, channels]`. Zeros where there
    /// are no values.
    pub fn interleaved(&self, row: usize) -> Vec<f32> {
        if self.is_planned() { vec![0.0; self.shape.row()] } else { self.row(row).to_vec() }
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The meter that counts this tensor.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Whether this tensor has no values.
    pub(super) fn is_planned(&self) -> bool {
        self.meter.is_planning()
    }

    /// The same values seen as a sequence of pixels.
    pub fn into_sequence(mut self) -> Self {
        self.shape = Shape { height: self.shape.tokens(), width: 1, ..self.shape };
        self
    }

    /// The same values, a sequence of `height · width` tokens, seen as an image.
    pub fn into_image(mut self, height: usize, width: usize) -> Self {
        assert_eq!(self.shape.tokens(), height * width, "tokens do not make up the image");
        self.shape = Shape { height, width, ..self.shape };
        self
    }

    pub(super) fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.shape.row()..][..self.shape.row()]
    }

    pub(super) fn row_mut(&mut self, index: usize) -> &mut [f32] {
        let size = self.shape.row();
        &mut self.values[index * size..][..size]
    }

    pub(super) fn values(&self) -> &[f32] {
        let count = self.shape.batch * self.shape.row();
        if self.is_planned() { &[] } else { &self.values[..count] }
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        let count = self.shape.batch * self.shape.row();
        &mut self.values[..count]
    }
}
