//! `model_index.json`: which pipeline, and of which components.

use diffusion_engine::Error;
use serde_json::{Value, json};

use crate::broken::{Broken, INDEX, SCHEDULER, TEXT, UNET, VAE};

const JSON_FILES: [&str; 5] = [INDEX, UNET, VAE, TEXT, SCHEDULER];

#[test]
fn the_unbroken_model_opens() {
    Broken::new().open().unwrap();
}

#[test]
fn a_missing_file_is_named() {
    let model = Broken::new();
    for file in JSON_FILES {
        let good = model.read(file);
        model.remove(file);
        let error = model.refused(file, &[]);
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        model.write(file, good);
    }
}

#[test]
fn an_empty_folder_lacks_its_index() {
    let model = Broken::new();
    std::fs::remove_dir_all(model.path("")).unwrap();
    model.refused(INDEX, &[]);
}

#[test]
fn a_folder_in_place_of_a_file_is_named() {
    for file in JSON_FILES {
        let model = Broken::new();
        model.remove(file);
        std::fs::create_dir(model.path(file)).unwrap();
        model.refused(file, &[]);
    }
}

#[test]
fn other_pipelines_are_named() {
    let model = Broken::new();
    for class in [
        "StableDiffusionXLPipeline",
        "StableDiffusion3Pipeline",
        "FluxPipeline",
        "StableDiffusionInpaintPipeline",
    ] {
        model.refused_value(INDEX, "_class_name", json!(class));
    }
    for value in [Value::Null, json!(""), json!(1), json!(["StableDiffusionPipeline"])] {
        model.refused_value(INDEX, "_class_name", value);
    }
}

#[test]
fn components_of_other_classes_are_named() {
    let model = Broken::new();
    for (component, class) in [
        ("text_encoder", "CLIPTextModelWithProjection"),
        ("text_encoder", "T5EncoderModel"),
        ("tokenizer", "T5Tokenizer"),
        ("unet", "UNet2DModel"),
        ("unet", "SD3Transformer2DModel"),
        ("vae", "AutoencoderTiny"),
        ("vae", "AsymmetricAutoencoderKL"),
    ] {
        model.refused_value(INDEX, component, json!(["diffusers", class]));
    }
    for component in ["text_encoder", "tokenizer", "unet", "vae"] {
        for value in [Value::Null, json!([null, null]), json!([]), json!({}), json!("CLIP")] {
            model.refused_value(INDEX, component, value);
        }
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    let model = Broken::new();
    let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
    for file in JSON_FILES {
        for content in ["", " ", "{", "{}}", "[]", "null", "\"text\"", "\0\0", "{\"a\": 01}", &deep]
        {
            model.refused_with(file, content, &[]);
        }
        model.refused_with(file, b"{\"\xff\": 1}", &[]);
        model.refused_with(file, b"\x89PNG\r\n\x1a\n", &[]);
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let model = Broken::new();
    for file in JSON_FILES {
        let good = model.read(file);
        let handle = std::fs::File::options().write(true).open(model.path(file)).unwrap();
        handle.set_len(1 << 40).unwrap();
        model.refused(file, &["too large"]);
        model.write(file, good);
    }
}
