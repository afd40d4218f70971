//! Files of weights that are missing, cut off, or lie about what is in them.

use diffusion_engine::Error;
use serde_json::json;

use crate::broken::{Broken, UNET_WEIGHTS};

const INDEX: &str = "unet/diffusion_pytorch_model.safetensors.index.json";

/// The bytes of a safetensors file with this header, and this many bytes of values.
fn file(header: &str, values: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; values]);
    bytes
}

#[test]
fn a_file_cut_off_anywhere_is_named() {
    let model = Broken::new();
    let whole = model.read(UNET_WEIGHTS);
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    for length in
        [0, 1, 7, 8, 9, 100, header - 1, header, header + 1, whole.len() / 2, whole.len() - 1]
    {
        model.refused_with(UNET_WEIGHTS, &whole[..length], &[]);
    }
    model.refused_with(UNET_WEIGHTS, [whole.as_slice(), &[0]].concat(), &[]);
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    Broken::new().refused_with(UNET_WEIGHTS, "", &["empty"]);
}

#[test]
fn a_header_of_an_impossible_length_is_named() {
    let model = Broken::new();
    let good = model.read(UNET_WEIGHTS);
    for length in [0, 1, good.len() as u64, 1 << 32, 1 << 60, i64::MAX as u64, u64::MAX] {
        let mut bytes = good.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        model.refused_with(UNET_WEIGHTS, bytes, &["safetensors"]);
    }
}

#[test]
fn a_huge_file_of_nothing_is_refused() {
    let model = Broken::new();
    let handle = std::fs::File::options().write(true).open(model.path(UNET_WEIGHTS)).unwrap();
    handle.set_len(0).unwrap();
    handle.set_len(1 << 40).unwrap();
    model.refused(UNET_WEIGHTS, &["safetensors"]);
}

#[test]
fn headers_that_are_no_headers_are_named() {
    let model = Broken::new();
    for header in ["", " ", "{", "[]", "null", "\"a\"", "{\"a\": 1}", "{\"a\": {}}", "\u{feff}{}"] {
        model.refused_with(UNET_WEIGHTS, file(header, 0), &["safetensors"]);
    }
    let deep = format!("{{\"a\": {}", "[".repeat(1 << 20));
    model.refused_with(UNET_WEIGHTS, file(&deep, 0), &["safetensors"]);
    model.refused_with(UNET_WEIGHTS, b"\x02\0\0\0\0\0\0\0\xff\xff", &["safetensors"]);
    model.refused_with(UNET_WEIGHTS, b"PK\x03\x04 a zip, as pickles are", &["safetensors"]);
}

#[test]
fn tensors_that_do_not_tile_the_file_are_named() {
    let model = Broken::new();
    let tensor = |shape: &str, offsets: &str| {
        format!("{{\"dtype\": \"F32\", \"shape\": {shape}, \"data_offsets\": {offsets}}}")
    };
    for (a, b) in [
        // Overlapping, with a gap, backwards, beyond the end, not at the beginning.
        (tensor("[2]", "[0, 8]"), tensor("[2]", "[4, 12]")),
        (tensor("[1]", "[0, 4]"), tensor("[2]", "[8, 16]")),
        (tensor("[2]", "[8, 0]"), tensor("[2]", "[8, 16]")),
        (tensor("[2]", "[0, 8]"), tensor("[4]", "[8, 24]")),
        (tensor("[2]", "[4, 12]"), tensor("[1]", "[12, 16]")),
        // Of another size than their shapes.
        (tensor("[3]", "[0, 8]"), tensor("[2]", "[8, 16]")),
        (tensor("[]", "[0, 8]"), tensor("[2]", "[8, 16]")),
        (tensor("[4294967296, 4294967296]", "[0, 8]"), tensor("[2]", "[8, 16]")),
        (tensor("[9223372036854775807, 2]", "[0, 8]"), tensor("[2]", "[8, 16]")),
        (tensor("[18446744073709551615]", "[0, 8]"), tensor("[2]", "[8, 16]")),
        // Not numbers.
        (tensor("[-2]", "[0, 8]"), tensor("[2]", "[8, 16]")),
        (tensor("[2.0]", "[0, 8]"), tensor("[2]", "[8, 16]")),
        (tensor("[2]", "[0, 8, 16]"), tensor("[2]", "[8, 16]")),
        (tensor("[2]", "[0, 18446744073709551616]"), tensor("[2]", "[8, 16]")),
    ] {
        let header = format!("{{\"a\": {a}, \"b\": {b}}}");
        model.refused_with(UNET_WEIGHTS, file(&header, 16), &["safetensors"]);
    }
}

#[test]
fn hostile_names_in_headers_stay_in_one_short_line() {
    let model = Broken::new();
    for name in ["\\n\\u001b[2J\\u0007", &"x".repeat(1 << 20)] {
        let header = format!(
            "{{\"{name}\": {{\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [4, 12]}}}}"
        );
        model.refused_with(UNET_WEIGHTS, file(&header, 12), &["safetensors"]);
    }
}

#[test]
fn pickles_are_refused_by_name() {
    for (part, weights, pickle) in [
        ("unet", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        ("vae", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        ("text_encoder", "model.safetensors", "pytorch_model.bin"),
    ] {
        let model = Broken::new();
        model.remove(&format!("{part}/{weights}"));
        model.refused(part, &["no safetensors file"]);
        model.write(&format!("{part}/{pickle}"), b"\x80\x04");
        let error = model.refused(part, &[pickle, "convert it to safetensors"]);
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    }
}

#[test]
fn an_index_whose_shard_is_missing_names_the_shard() {
    let model = Broken::new();
    let good = model.read(UNET_WEIGHTS);
    model.remove(UNET_WEIGHTS);
    model.write("unet/one.safetensors", good);
    let map = json!({"conv_in.weight": "one.safetensors", "conv_in.bias": "two.safetensors"});
    model.write(INDEX, json!({"weight_map": map}).to_string());
    let error = model.refused("unet/two.safetensors", &[]);
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

#[test]
fn an_index_cannot_lead_out_of_its_folder() {
    let model = Broken::new();
    let good = model.read(UNET_WEIGHTS);
    model.remove(UNET_WEIGHTS);
    model.write("outside.safetensors", &good);
    let absolute = model.path("outside.safetensors").display().to_string();
    for shard in [
        "../outside.safetensors",
        "./../outside.safetensors",
        "..\\outside.safetensors",
        &absolute,
        "config.json",
        "pytorch_model-00001-of-00002.bin",
        "",
        "..",
    ] {
        model.write(INDEX, json!({"weight_map": {"conv_in.weight": shard}}).to_string());
        model.refused(INDEX, &["not the name of a shard"]);
    }
    let long = format!("{}\n", "../".repeat(100_000));
    model.write(INDEX, json!({"weight_map": {"conv_in.weight": long}}).to_string());
    model.refused(INDEX, &["not the name of a shard"]);
}

#[test]
fn an_index_without_a_map_is_named() {
    let model = Broken::new();
    model.remove(UNET_WEIGHTS);
    for index in [json!({}), json!([]), json!({"weight_map": []}), json!({"weight_map": null})] {
        model.write(INDEX, index.to_string());
        model.refused(INDEX, &["weight_map"]);
    }
    model.write(INDEX, "{");
    model.refused(INDEX, &["not JSON"]);
    model.write(INDEX, json!({"weight_map": {"conv_in.weight": 1}}).to_string());
    model.refused(INDEX, &["not a string"]);
    model.write(INDEX, json!({"weight_map": {}}).to_string());
    model.refused("unet", &["is missing"]);
}
