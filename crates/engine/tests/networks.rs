//! Text encoder, UNet and VAE against the reference's numbers, within 1e-4 of the largest value.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use diffusion_engine::Precision;
use diffusion_engine::config::{ClipTextConfig, Reader, UNetConfig, VaeConfig};
use diffusion_engine::models::{ClipText, Conditioning, UNet, Vae, guidance_embedding};
use diffusion_engine::ops::{Meter, Packing, Tensor};
use diffusion_engine::source::Source;
use diffusion_engine::weights::Weights;

mod support;

use support::{Goldens, assert_close, goldens};

const TOLERANCE: f32 = 1e-4;
/// Bytes of packed weights that are kept: none, a part and all.
const KEPT: [u64; 3] = [0, 200_000, u64::MAX];

fn keeping(bytes: u64) -> Packing {
    Packing::new(bytes, Precision::F32)
}

fn source(model: &str) -> Source {
    Source::Folder(Path::new(&goldens()).join(model))
}

fn unet(model: &str, kept: u64) -> UNet {
    let source = source(model);
    let config = UNetConfig::read(&Reader::open(&source, "unet/config.json").unwrap()).unwrap();
    UNet::load(&Weights::open(&source, "unet").unwrap(), config, keeping(kept)).unwrap()
}

fn vae(model: &str, kept: u64) -> Vae {
    let source = source(model);
    // The VAE alone is a component folder of its own; in a pipeline it is a sub-folder.
    let folder = if model == "tiny-vae" { "." } else { "vae" };
    let config =
        VaeConfig::read(&Reader::open(&source, &format!("{folder}/config.json")).unwrap()).unwrap();
    Vae::load(Weights::open(&source, folder).unwrap(), config, keeping(kept)).unwrap()
}

#[test]
fn text_encoder() {
    for (model, file) in [("tiny-sd1", "modules-sd1"), ("tiny-sd2", "modules-sd2")] {
        let source = source(model);
        let goldens = Goldens::open(file);
        let ids = goldens.ints("text.ids");
        let want = goldens.floats("text.last_hidden_state");
        for kept in KEPT {
            let config = Reader::open(&source, "text_encoder/config.json").unwrap();
            let config = ClipTextConfig::read(&config).unwrap();
            let weights = Weights::open(&source, "text_encoder").unwrap();
            let text = ClipText::load(weights, config, keeping(kept)).unwrap();
            let mut got = Vec::new();
            for ids in ids.chunks(77) {
                let ids: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
                got.extend(text.forward(&ids, 0, &Meter::new()).unwrap().interleaved(0));
            }
            assert_close(&format!("{model} text encoder"), &got, &want, TOLERANCE);
        }
    }
}

/// The predictions of a golden case, one row of the batch after the other.
fn predict(unet: &UNet, goldens: &Goldens, case: &str, guidance: &[Vec<f32>]) -> Vec<f32> {
    let name = |part: &str| format!("unet.{case}.{part}");
    let meter = Meter::new();
    let timesteps = goldens.floats(&name("timesteps"));
    let shape = goldens.shape(&name("sample"));
    let (channels, height, width) = (shape[1], shape[2], shape[3]);
    let sample = goldens.floats(&name("sample"));
    let rows: Vec<&[f32]> = sample.chunks(channels * height * width).collect();
    let latents = Tensor::images(&rows, channels, height, width, &meter);
    let context = goldens.floats(&name("context"));
    let hidden = goldens.shape(&name("context"))[2];
    let conditioning: Vec<_> = context
        .chunks(77 * hidden)
        .map(|row| unet.condition(&Tensor::sequences(&[row], hidden, &meter)))
        .collect();
    let conditioning: Vec<_> = conditioning.iter().map(|text| vec![text]).collect();
    let noise = unet.forward(&latents, &timesteps, &conditioning, guidance);
    (0..rows.len()).flat_map(|row| noise.planes(row)).collect()
}

#[test]
fn texts_of_one_latent_predict_what_they_do_apart() {
    let (unet, goldens, meter) = (unet("tiny-sd1", 0), Goldens::open("modules-sd1"), Meter::new());
    let floats = |part: &str| goldens.floats(&format!("unet.b3.{part}"));
    let shape = goldens.shape("unet.b3.sample");
    let (channels, height, width) = (shape[1], shape[2], shape[3]);
    let (sample, context) = (floats("sample"), floats("context"));
    let latents: Vec<&[f32]> = sample.chunks(channels * height * width).take(2).collect();
    let hidden = goldens.shape("unet.b3.context")[2];
    let texts: Vec<_> = context
        .chunks(77 * hidden)
        .cycle()
        .take(3)
        .map(|row| unet.condition(&Tensor::sequences(&[row], hidden, &meter)))
        .collect();
    let [a, b] = latents[..] else { panic!("two latents") };
    let predict = |latents: &[&[f32]], times: &[f32], texts: &[Vec<&Conditioning>]| {
        let latents = Tensor::images(latents, channels, height, width, &meter);
        let out = unet.forward(&latents, times, texts, &[]);
        (0..out.shape().batch).flat_map(|row| out.planes(row)).collect::<Vec<_>>()
    };
    let together = predict(&[a, b], &[900.0, 30.0], &[vec![&texts[0], &texts[1]], vec![&texts[2]]]);
    let each = texts.iter().map(|text| vec![text]).collect::<Vec<_>>();
    assert_eq!(together, predict(&[a, a, b], &[900.0, 900.0, 30.0], &each));
}

#[test]
fn unet_predictions() {
    for (model, file) in [("tiny-sd1", "modules-sd1"), ("tiny-sd2", "modules-sd2")] {
        let goldens = Goldens::open(file);
        for kept in KEPT {
            let unet = unet(model, kept);
            for case in ["b1", "b3", "odd", "small", "thin", "wide"] {
                let got = predict(&unet, &goldens, case, &[]);
                let want = goldens.floats(&format!("unet.{case}.noise"));
                assert_close(&format!("{model} unet {case}"), &got, &want, TOLERANCE);
            }
        }
    }
}

/// A UNet that was distilled with its guidance takes the scale as an input.
#[test]
fn unet_predictions_under_a_guidance_scale() {
    let goldens = Goldens::open("modules-lcm");
    for kept in KEPT {
        let unet = unet("tiny-lcm", kept);
        for (case, scales) in [("g1", &[8.5][..]), ("g3", &[1.0, 3.7, 14.0])] {
            let channels = goldens.shape(&format!("unet.{case}.embedding"))[1];
            let guidance: Vec<_> =
                scales.iter().map(|scale| guidance_embedding(*scale, channels)).collect();
            let want = goldens.floats(&format!("unet.{case}.embedding"));
            assert_close(&format!("embedding {case}"), &guidance.concat(), &want, TOLERANCE);
            let got = predict(&unet, &goldens, case, &guidance);
            let want = goldens.floats(&format!("unet.{case}.noise"));
            assert_close(&format!("tiny-lcm unet {case}"), &got, &want, TOLERANCE);
        }
    }
}

#[test]
fn vae_both_ways() {
    for (model, file) in
        [("tiny-sd1", "modules-sd1"), ("tiny-sd2", "modules-sd2"), ("tiny-vae", "modules-vae")]
    {
        let goldens = Goldens::open(file);
        for kept in KEPT {
            let vae = vae(model, kept);
            for case in ["vae.encode.40x24", "vae.encode.64x64"] {
                let (image, shape) = goldens.image(&format!("{case}.image"));
                let images = Tensor::images(&[&image], 3, shape.0, shape.1, &Meter::new());
                let posterior = vae.encode(&images).remove(0);
                for (part, got) in [("mean", posterior.mean), ("logvar", posterior.log_variance)] {
                    let want = goldens.floats(&format!("{case}.{part}"));
                    assert_close(&format!("{model} {case} {part}"), &got, &want, TOLERANCE);
                }
            }
            for case in ["vae.decode.40x24", "vae.decode.24x48"] {
                let (latents, shape) = goldens.image(&format!("{case}.latents"));
                let channels = vae.config().latent_channels;
                let latents =
                    Tensor::images(&[&latents], channels, shape.0, shape.1, &Meter::new());
                let got = vae.decode(&latents).planes(0);
                let want = goldens.floats(&format!("{case}.image"));
                assert_close(&format!("{model} {case}"), &got, &want, TOLERANCE);
            }
        }
    }
}
