//! The tokenizer's files and the scheduler's.

use diffusion_engine::{Error, Plan};
use serde_json::{Value, json};

use crate::broken::{Broken, SCHEDULER, TEXT, check_line};
use crate::not_finite::plan;

const VOCAB: &str = "tokenizer/vocab.json";
const MERGES: &str = "tokenizer/merges.txt";
const CONFIG: &str = "tokenizer/tokenizer_config.json";
const SPECIAL: &str = "tokenizer/special_tokens_map.json";

#[test]
fn a_missing_tokenizer_is_named() {
    let model = Broken::new();
    for file in [VOCAB, MERGES] {
        let good = model.read(file);
        model.remove(file);
        model.refused("tokenizer", &["vocab.json", "merges.txt"]);
        model.write(file, good);
    }
    std::fs::remove_dir_all(model.path("tokenizer")).unwrap();
    model.refused("tokenizer", &["no tokenizer"]);
}

#[test]
fn a_broken_tokenizer_names_its_file() {
    let model = Broken::new();
    for file in [VOCAB, CONFIG, SPECIAL] {
        for content in ["", "{", "[1]", "{\"a\": {\"b\": [", "\0"] {
            model.refused_with(file, content, &[]);
        }
        model.refused_with(file, "[".repeat(1 << 16), &[]);
    }
    for (file, content) in [
        (VOCAB, "{}"),
        (VOCAB, "{\"a\": -1}"),
        (VOCAB, "{\"a\": 4294967295}"),
        (VOCAB, "{\"a\": 1e30}"),
        (MERGES, "one\n"),
        (MERGES, "one two three\n"),
        (CONFIG, "{\"bos_token\": 7}"),
        (CONFIG, "{\"model_max_length\": \"77\"}"),
        (SPECIAL, "{\"eos_token\": []}"),
    ] {
        model.refused_with(file, content, &[]);
    }
    model.refused_with(MERGES, b"\xff\xfe a\n", &[]);
}

#[test]
fn a_broken_tokenizer_json_is_named() {
    let model = Broken::with_tokenizer_json();
    let file = "tokenizer/tokenizer.json";
    for (content, words) in [
        ("", ""),
        ("{", ""),
        ("{}", "model"),
        (r#"{"model": {"type": "WordPiece"}}"#, "WordPiece"),
        (r#"{"model": {"type": "Unigram", "vocab": []}}"#, "Unigram"),
        (r#"{"model": {"type": "BPE"}}"#, "end_of_word_suffix"),
        (r#"{"model": {"end_of_word_suffix": "</w>", "vocab": {}}}"#, "merges"),
        (r#"{"model": {"end_of_word_suffix": "</w>", "vocab": {}, "merges": ["a"]}}"#, "merge"),
    ] {
        model.refused_with(file, content, &[words]);
    }
}

#[test]
fn merges_of_tokens_that_do_not_exist_are_refused_in_one_line() {
    let model = Broken::new();
    model.write(MERGES, "#version: 0.2\nab\u{1b}[31m cd\u{7}\n");
    model.refused("tokenizer", &["ab"]);
}

#[test]
fn special_tokens_that_do_not_exist_are_refused() {
    let model = Broken::new();
    let vocab: Value = serde_json::from_slice(&model.read(VOCAB)).unwrap();
    let mut without = vocab.clone();
    without.as_object_mut().unwrap().remove("<|endoftext|>");
    model.write(VOCAB, without.to_string());
    // Whether it is refused or declared anew, every id must have an embedding.
    if let Ok(opened) = model.open() {
        let error = opened.begin(&plan(), None).unwrap_err();
        check_line(&error);
    }
}

#[test]
fn prompts_longer_than_the_text_encoder_are_refused_at_once() {
    let model = Broken::new();
    model.set(CONFIG, "model_max_length", json!(78));
    model.refused("tokenizer", &["78", "77"]);
    let model = Broken::new();
    model.set(CONFIG, "model_max_length", json!(0));
    if let Ok(opened) = model.open() {
        opened.begin(&plan(), None).unwrap();
    }
}

#[test]
fn a_vocabulary_larger_than_the_embeddings_is_told_at_the_latest_with_the_prompt() {
    let model = Broken::new();
    let mut vocab: Value = serde_json::from_slice(&model.read(VOCAB)).unwrap();
    vocab["<|endoftext|>"] = json!(100_000);
    model.write(VOCAB, vocab.to_string());
    let error = match model.open() {
        Ok(opened) => opened.begin(&plan(), None).unwrap_err(),
        Err(error) => error,
    };
    check_line(&error);
    assert!(error.to_string().contains("100000"), "{error}");
}

#[test]
fn a_scheduler_of_another_class_is_named() {
    let model = Broken::new();
    for class in [json!("FlowMatchEulerDiscreteScheduler"), json!(""), json!(3), Value::Null] {
        model.set(SCHEDULER, "_class_name", class);
        // Another scheduler can stand in, so that the model as such is not refused.
        let opened = model.open().unwrap();
        let error = opened.begin(&plan(), None).unwrap_err();
        check_line(&error);
        let path = model.path(SCHEDULER).display().to_string();
        assert!(error.to_string().starts_with(&path), "{error}");
        assert!(error.to_string().contains("_class_name"), "{error}");
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        let euler = Plan { scheduler: Some("euler".parse().unwrap()), ..plan() };
        opened.begin(&euler, None).unwrap();
    }
}

#[test]
fn values_of_the_scheduler_that_make_no_sense_are_named() {
    let model = Broken::new();
    let good = model.read(SCHEDULER);
    for (key, value) in [
        ("num_train_timesteps", json!(0)),
        ("num_train_timesteps", json!(1_u64 << 60)),
        ("beta_schedule", json!("sinusoidal")),
        ("prediction_type", json!("flow")),
        ("trained_betas", json!("many")),
        ("beta_start", json!("small")),
        ("timestep_spacing", json!("random")),
    ] {
        model.set(SCHEDULER, key, value);
        let error = model.open().unwrap().begin(&plan(), None).unwrap_err();
        check_line(&error);
        let path = model.path(SCHEDULER).display().to_string();
        assert!(error.to_string().starts_with(&path), "{error}");
        assert!(error.to_string().contains(key), "{error}");
        model.write(SCHEDULER, &good);
    }
}

#[test]
fn a_text_encoder_for_shorter_prompts_is_refused() {
    let model = Broken::new();
    model.set(TEXT, "max_position_embeddings", json!(64));
    model.refused("tokenizer", &["77", "64"]);
}
